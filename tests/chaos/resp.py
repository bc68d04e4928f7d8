"""Redis over a unix socket, from the protocol's description alone: no client library between the
checkers and the bytes."""
import socket


class RedisError(Exception):
    """The server answered with an error."""


class Redis:
    def __init__(self, path, user='', password='', seconds=10):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(path)
        self.file = self.socket.makefile('rb', buffering=1 << 20)
        if user:
            self('AUTH', user, password)

    def send(self, *words):
        parts = [b'*%d\r\n' % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b'$%d\r\n%s\r\n' % (len(data), data))
        self.socket.sendall(b''.join(parts))

    def line(self):
        line = self.file.readline()
        if not line.endswith(b'\r\n'):
            raise ConnectionError('the server is gone')
        return line[:-2]

    def receive(self):
        """One answer; an error in it is a RedisError among the values, at the top it is raised."""
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b'+':
            return rest
        if kind == b'-':
            return RedisError(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'$':
            if rest == b'-1':
                return None
            data = self.file.read(int(rest) + 2)
            if len(data) != int(rest) + 2:
                raise ConnectionError('the server is gone')
            return data[:-2]
        if kind == b'*':
            return None if rest == b'-1' else [self.receive() for _ in range(int(rest))]
        raise ConnectionError(f'not an answer: {line!r}')

    def __call__(self, *words):
        self.send(*words)
        answer = self.receive()
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *failed):
        self.close()
