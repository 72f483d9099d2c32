/* Stands on the product's PATH in the place of git, just and terraform: tells the director when a child begins and when
 * it has done its work and not ended yet. As `reference-transaction`, a hook of the remote: tells what refs change. */
#include "speak.h"

#include <fcntl.h>
#include <sys/wait.h>

static char line[65536];

static void add(const char *text)
{
    size_t used = strlen(line);
    if (used + strlen(text) + 2 >= sizeof line)
        return;
    if (used)
        line[used++] = '\t';
    for (; *text; text++)
        line[used++] = *text == '\n' || *text == '\t' ? ' ' : *text;
    line[used] = 0;
}

static int told(int director)
{
    char answer[64] = "";
    if (director < 0 || !director_ask(director, line, answer, sizeof answer))
        return 0;
    return strcmp(answer, "refuse") == 0;
}

static void describe(const char *moment, const char *name, char **arguments)
{
    char here[PATH_MAX] = "", process[16];
    if (!getcwd(here, sizeof here))
        here[0] = 0;
    snprintf(process, sizeof process, "%d", (int)getpid());
    line[0] = 0;
    add("child");
    add(moment);
    add(process);
    add(here);
    add(name);
    for (; *arguments; arguments++)
        add(*arguments);
}

static int hook(int director, const char *state)
{
    static char updates[32768];
    size_t got = 0;
    ssize_t n;
    while (got + 1 < sizeof updates && (n = read(0, updates + got, sizeof updates - 1 - got)) > 0)
        got += n;
    updates[got] = 0;
    for (char *update = strtok(updates, "\n"); update; update = strtok(NULL, "\n")) {
        line[0] = 0;
        add("ref");
        add(state);
        add(update);
        if (told(director))
            return 1;
    }
    return 0;
}

int main(int count, char **arguments)
{
    const char *slash = strrchr(arguments[0], '/');
    const char *name = slash ? slash + 1 : arguments[0], *tools = getenv("CRASH_TOOLS");
    int director = director_connect(), status = 0;
    char real[PATH_MAX];
    if (strcmp(name, "reference-transaction") == 0)
        return hook(director, count > 1 ? arguments[1] : "");
    snprintf(real, sizeof real, "%s/%s", tools ? tools : "", name);
    describe("begin", name, arguments + 1);
    if (told(director))
        return 1;
    pid_t child = fork();
    if (child == 0) {
        execv(real, arguments);
        perror(real);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    describe("worked", name, arguments + 1);
    told(director);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
