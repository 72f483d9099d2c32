/* How shim and wrapper speak with the director: one line out, one line back, over a Unix socket. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The director's socket; -1 where there is none, and everything goes its own way. */
static int director_connect(void)
{
    const char *path = getenv("CRASH_SOCKET");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (!path || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Sends a line (without its newline) and waits for the answer. 0 where nobody is there any more. */
static int director_ask(int fd, const char *line, char *answer, size_t room)
{
    size_t length = strlen(line), got = 0;
    for (size_t sent = 0; sent < length;) {
        ssize_t n = send(fd, line + sent, length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        sent += n;
    }
    while (send(fd, "\n", 1, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
    while (got + 1 < room) {
        ssize_t n = recv(fd, answer + got, 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        if (answer[got] == '\n')
            break;
        got++;
    }
    answer[got] = 0;
    return 1;
}
