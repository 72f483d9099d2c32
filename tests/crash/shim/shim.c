/* Preloaded into the product, and into nothing that it starts: asks the director before and after every write, sync,
 * truncation, rename and link below CRASH_UNDER (directories, separated by colons). The director may kill us while we
 * wait, have a write torn, or have the call fail. */
#include "speak.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int director = -1;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char under[PATH_MAX * 4];

__attribute__((constructor)) static void begin(void)
{
    char program[PATH_MAX], line[64], answer[64];
    const char *roots = getenv("CRASH_UNDER");
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    /* What we start is watched by other means. */
    unsetenv("LD_PRELOAD");
    if (length <= 0 || !roots || strlen(roots) >= sizeof under)
        return;
    program[length] = 0;
    const char *name = strrchr(program, '/');
    if (!name || strcmp(name, "/catalog-deploy") != 0)
        return;
    strcpy(under, roots);
    director = director_connect();
    if (director < 0)
        return;
    snprintf(line, sizeof line, "hello\t%d", (int)getpid());
    director_ask(director, line, answer, sizeof answer);
}

static int is_below(const char *path)
{
    for (const char *root = under; *root;) {
        size_t length = strcspn(root, ":");
        if (length && strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == 0))
            return 1;
        root += length + (root[length] == ':');
    }
    return 0;
}

static int path_of(int fd, char *path)
{
    char link[64];
    if (director < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return is_below(path);
}

static int full_path(const char *path, char *full)
{
    if (director < 0)
        return 0;
    if (path[0] == '/')
        snprintf(full, PATH_MAX, "%s", path);
    else if (getcwd(full, PATH_MAX - 1) && strlen(full) + strlen(path) + 2 < PATH_MAX)
        strcat(strcat(full, "/"), path);
    else
        return 0;
    return is_below(full);
}

enum { PASS, TORN, FAIL };

/* What to do with this call; with FAIL, errno is set. */
static int verdict(const char *when, const char *call, const char *path)
{
    char line[PATH_MAX + 64], answer[64] = "";
    int saved = errno, result = PASS;
    snprintf(line, sizeof line, "disk\t%s\t%s\t%s", when, call, path);
    pthread_mutex_lock(&turn);
    director_ask(director, line, answer, sizeof answer);
    pthread_mutex_unlock(&turn);
    errno = saved;
    if (strcmp(answer, "torn") == 0)
        result = TORN;
    else if (strncmp(answer, "errno ", 6) == 0) {
        errno = atoi(answer + 6);
        result = FAIL;
    }
    return result;
}

#define AROUND(known, path, call, make, torn)                                                                          \
    do {                                                                                                               \
        if (!(known))                                                                                                  \
            return make;                                                                                               \
        int what = verdict("before", call, path);                                                                      \
        if (what == FAIL)                                                                                              \
            return -1;                                                                                                 \
        if (what == TORN) {                                                                                            \
            torn;                                                                                                      \
            verdict("torn", call, path);                                                                               \
        }                                                                                                              \
        long made = make;                                                                                              \
        verdict("after", call, path);                                                                                  \
        return made;                                                                                                   \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t count)
{
    char path[PATH_MAX];
    AROUND(path_of(fd, path), path, "write", syscall(SYS_write, fd, bytes, count),
           syscall(SYS_write, fd, bytes, count / 2));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char path[PATH_MAX];
    AROUND(path_of(fd, path), path, "write", syscall(SYS_writev, fd, parts, count),
           syscall(SYS_write, fd, parts[0].iov_base, parts[0].iov_len / 2));
}

int fsync(int fd)
{
    char path[PATH_MAX];
    AROUND(path_of(fd, path), path, "fsync", syscall(SYS_fsync, fd), (void)0);
}

int fdatasync(int fd)
{
    char path[PATH_MAX];
    AROUND(path_of(fd, path), path, "fsync", syscall(SYS_fdatasync, fd), (void)0);
}

int ftruncate64(int fd, off64_t length)
{
    char path[PATH_MAX];
    AROUND(path_of(fd, path), path, "truncate", syscall(SYS_ftruncate, fd, length), (void)0);
}

int rename(const char *from, const char *to)
{
    char path[PATH_MAX];
    AROUND(full_path(to, path), path, "rename", syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to), (void)0);
}

int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
    char path[PATH_MAX];
    AROUND(to_at == AT_FDCWD && full_path(to, path), path, "rename",
           syscall(SYS_renameat2, from_at, from, to_at, to, flags), (void)0);
}

int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
    char path[PATH_MAX];
    AROUND(to_at == AT_FDCWD && full_path(to, path), path, "rename",
           syscall(SYS_linkat, from_at, from, to_at, to, flags), (void)0);
}
