/* The plainest echo of datagrams there is: one thread, epoll, recvmmsg, sendmmsg. What benches/media.rs is compared with.
 *
 *   echo ADDRESS SOCKETS      prints a port for each socket, then "ready"; ends when its standard input does
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 32, LENGTH = 4096, EVENTS = 1024, BUFFER = 256 * 1024 };

static char octets[BATCH][LENGTH];
static struct sockaddr_storage names[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr headers[BATCH];

static int open_socket(const char *address)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    int is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
    if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1) {
        fprintf(stderr, "echo: not an address: %s\n", address);
        exit(2);
    }
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = BUFFER;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (bind(fd, is_v6 ? (void *)&v6 : (void *)&v4, is_v6 ? sizeof v6 : sizeof v4)) {
        perror("echo: bind");
        exit(1);
    }
    socklen_t length = sizeof v6;
    getsockname(fd, (void *)&v6, &length); /* the port is at the same place in both */
    printf("%d\n", ntohs(v6.sin6_port));
    return fd;
}

static void echo(int fd)
{
    for (int i = 0; i < BATCH; i++) {
        vectors[i].iov_len = LENGTH;
        headers[i].msg_hdr.msg_namelen = sizeof names[i];
    }
    int count = recvmmsg(fd, headers, BATCH, MSG_DONTWAIT, 0);
    for (int i = 0; i < count; i++)
        vectors[i].iov_len = headers[i].msg_len;
    for (int sent = 0; sent < count;) {
        int n = sendmmsg(fd, headers + sent, count - sent, 0);
        sent += n > 0 ? n : 1;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "echo ADDRESS SOCKETS\n");
        return 2;
    }
    for (int i = 0; i < BATCH; i++) {
        vectors[i].iov_base = octets[i];
        headers[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    int poll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < atoi(argv[2]); i++) {
        int fd = open_socket(argv[1]);
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
    }
    epoll_ctl(poll, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.fd = 0});
    puts("ready");
    fflush(stdout);
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == 0)
                return 0;
            echo(events[i].data.fd);
        }
    }
}
