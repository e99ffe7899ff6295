/* The smallest service: greets every connection with a word. Run by generic-program in the cluster tests; in
 * C, so that the start of an interpreter is not part of what is measured. Usage: greeter ADDRESS PORT WORD */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) return 2;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr*)&at, sizeof at) != 0 || listen(listener, 64) != 0) {
    perror("greeter");
    return 1;
  }
  while (1) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) continue;
    if (write(connection, argv[3], strlen(argv[3])) < 0) perror("greeter: write");
    close(connection);
  }
}
