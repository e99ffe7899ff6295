#!/usr/bin/python3
"""The smallest service: greets every connection with its node's name. Run by generic-program in the cluster tests."""
import socket
import sys

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.IPPROTO_IP, socket.IP_FREEBIND, 1)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen(64)
while True:
    connection, _ = listener.accept()
    try:
        connection.sendall((sys.argv[3] if len(sys.argv) > 3 else "hello").encode() + b"\n")
    except OSError:
        pass
    connection.close()
