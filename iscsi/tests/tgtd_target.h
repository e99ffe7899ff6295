// TgtdTarget: a real iSCSI target for tests: its own tgtd on a free port of 127.0.0.1, with LUNs in sparse
// files of a temporary directory. Needs root and the package tgt; every wait is for a condition, not for a
// time.
//
// It has no PREEMPT AND ABORT, no APTPL and no READ FULL STATUS, and forgets every reservation when it
// restarts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::scsi {

class TgtdTarget {
 public:
  struct Options {
    std::vector<uint64_t> lun_bytes = {64 << 20};  // one LUN each, numbered from 1
    std::string user, password;                    // CHAP when set
    std::string address = "127.0.0.1";
  };

  // Throws std::runtime_error when tgtd cannot be started (a test cannot go on without it).
  TgtdTarget() : TgtdTarget(Options{}) {}
  explicit TgtdTarget(Options options);
  ~TgtdTarget();  // kills tgtd, removes the files
  TgtdTarget(const TgtdTarget&) = delete;
  TgtdTarget& operator=(const TgtdTarget&) = delete;

  // "iscsi://127.0.0.1:PORT/IQN/LUN"; with the login of Options when CHAP is on.
  std::string url(int lun = 1) const;
  std::string file(int lun = 1) const;  // the backing file
  uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }

  // SIGKILL: connections break, reservations are forgotten, the data stays.
  void kill();
  // Starts again on the same port with the same LUNs; kills first when it runs.
  void restart();
  // SIGSTOP and SIGCONT: connections stay, nobody answers.
  void freeze();
  void thaw();

 private:
  void start();
  bool launch();
  bool configure();
  bool tgtadm(std::vector<std::string> arguments) const;
  // Waits until tgtd accepts orders; false when it ended instead.
  bool wait_for_control();

  Options options_;
  std::string directory_;
  std::string target_ = "iqn.2026-11.example.holdfast:test";
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace holdfast::scsi
