/* handler: answers with how many words the request's body has. Serves HTTP/1.1 on the port that $PORT says, one connection after
 * the other, each as long as its client likes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char head[65536];

/* Reads a request's head, and what has come of its body behind it; how many bytes that is, or -1 at the connection's end. */
static long read_head(int client, char **body)
{
    size_t length = 0;
    while (length < sizeof head - 1) {
        ssize_t n = read(client, head + length, sizeof head - 1 - length);
        if (n <= 0)
            return -1;
        length += n;
        head[length] = 0;
        if ((*body = strstr(head, "\r\n\r\n"))) {
            *body += 4;
            return head + length - *body;
        }
    }
    return -1;
}

static long content_length(void)
{
    static const char name[] = "\r\nContent-Length:";
    for (const char *at = head; (at = strstr(at, "\r\n")); at += 2)
        if (strncasecmp(at, name, sizeof name - 1) == 0)
            return strtol(at + sizeof name - 1, NULL, 10);
    return 0;
}

static void serve(int client)
{
    char piece[4096], answer[160], *body;
    long there;
    while ((there = read_head(client, &body)) >= 0) {
        long left = content_length(), words = 0;
        int within = 0;
        while (left > 0) {
            if (there == 0) {
                body = piece;
                if ((there = read(client, piece, sizeof piece)) <= 0)
                    return;
            }
            for (; there > 0 && left > 0; body++, there--, left--) {
                int is_space = (unsigned char)*body <= ' ';
                words += !is_space && !within;
                within = !is_space;
            }
        }
        char text[32];
        int bytes = snprintf(text, sizeof text, "%ld words\n", words);
        bytes = snprintf(answer, sizeof answer,
                         "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", bytes, text);
        if (write(client, answer, bytes) != bytes)
            return;
    }
}

int main(void)
{
    const char *port = getenv("PORT");
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8080)};
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 16)) {
        perror("cannot listen");
        return 1;
    }
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0) {
            serve(client);
            close(client);
        }
    }
}
