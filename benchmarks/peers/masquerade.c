/* Sends UDP as fast as one core can: HOST PORT SOCKETS SECONDS. Each socket is a flow of its own and has its turn with a burst.
   Prints how many packets the kernel has taken, and the seconds that it took. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { BURST = 32, PAYLOAD = 36 };                /* 64 bytes with the IP and the UDP header */

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int connected(const char *host, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    if (made < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1 || connect(made, (struct sockaddr *)&to, sizeof to))
        fail(host);
    return made;
}

int main(int count, char **words)
{
    if (count != 5 || atoi(words[3]) < 1) {
        fprintf(stderr, "HOST PORT SOCKETS SECONDS\n");
        return 2;
    }
    int sockets = atoi(words[3]), *each = malloc(sockets * sizeof(int));
    struct rlimit files = { sockets + 64, sockets + 64 };
    if (!each || setrlimit(RLIMIT_NOFILE, &files))
        fail("room for so many sockets");
    for (int i = 0; i < sockets; i++)
        each[i] = connected(words[1], atoi(words[2]));
    char payload[PAYLOAD] = { 0 };
    struct iovec part = { payload, PAYLOAD };
    struct mmsghdr burst[BURST];
    memset(burst, 0, sizeof burst);
    for (int i = 0; i < BURST; i++)
        burst[i].msg_hdr.msg_iov = &part, burst[i].msg_hdr.msg_iovlen = 1;
    unsigned long sent = 0;
    double begin = now(), end = begin + atof(words[4]), time = begin;
    while (time < end) {
        for (int i = 0; i < sockets; i++) {
            int taken = sendmmsg(each[i], burst, BURST, 0);
            sent += taken > 0 ? taken : 0;        /* what is refused (no route yet, no memory) is not counted */
        }
        time = now();
    }
    printf("%lu %.6f\n", sent, time - begin);
    return 0;
}
