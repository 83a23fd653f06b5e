"""Stands for a server of the loopback: "tcp PORT" accepts, "http PORT" answers 200, "dns PORT" says that every name is 192.0.2.1."""
import socket
import struct
import sys

kind, port = sys.argv[1], int(sys.argv[2])


def answer(query):
    """One address for a question of type A, and none for others: RFC 1035, section 4."""
    end = query.index(0, 12) + 5
    is_a = struct.unpack("!H", query[end - 4:end - 2])[0] == 1
    record = struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + bytes([192, 0, 2, 1])
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, int(is_a), 0, 0) + query[12:end] + (record if is_a else b"")


if kind == "dns":
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", port))
    while True:
        query, client = server.recvfrom(512)
        server.sendto(answer(query), client)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", port))
server.listen()
while True:
    client, _ = server.accept()
    if kind == "http":
        client.recv(4096)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    client.close()
