/* What libssh does in each case; see cell.rs for the world it finds in its environment. */

#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <libssh/sftp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BIG (8 << 20)

static ssh_session session;

static const char *at(const char *name) { return getenv(name) ? getenv(name) : ""; }

static void fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, ssh_get_error(session));
    exit(1);
}

static void must(int status, const char *what) {
    if (status != SSH_OK) fail(what);
}

static void login(void) {
    int port = atoi(at("PORT"));
    ssh_key key;
    session = ssh_new();
    ssh_options_set(session, SSH_OPTIONS_HOST, at("HOST"));
    ssh_options_set(session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(session, SSH_OPTIONS_USER, at("WHO"));
    ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, at("KNOWN"));
    if (!strcmp(at("CASE"), "rekey")) {
        uint64_t bytes = 512 << 10;
        ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &bytes);
    }
    must(ssh_connect(session), "connect");
    if (ssh_session_is_known_server(session) != SSH_KNOWN_HOSTS_OK) fail("host key");
    must(ssh_pki_import_privkey_file(at("KEY"), NULL, NULL, NULL, &key), "key");
    if (ssh_userauth_publickey(session, NULL, key) != SSH_AUTH_SUCCESS) fail("login");
}

static ssh_channel opened(void) {
    ssh_channel channel = ssh_channel_new(session);
    must(ssh_channel_open_session(channel), "session");
    return channel;
}

static void copy(ssh_channel channel, int is_stderr, FILE *to) {
    char piece[65536];
    int size;
    while ((size = ssh_channel_read(channel, piece, sizeof piece, is_stderr)) > 0)
        fwrite(piece, 1, size, to);
    fflush(to);
}

static void finish(ssh_channel channel) {
    copy(channel, 0, stdout);
    copy(channel, 1, stderr);
    printf("status %d\n", ssh_channel_get_exit_status(channel));
    ssh_channel_close(channel);
}

static void run(const char *input) {
    ssh_channel channel = opened();
    if (!strcmp(at("CASE"), "environment"))
        must(ssh_channel_request_env(channel, "LC_MATRIX", "passes"), "environment");
    must(ssh_channel_request_exec(channel, at("REMOTE")), "exec");
    if (input) {
        ssh_channel_write(channel, input, strlen(input));
        ssh_channel_send_eof(channel);
    }
    finish(channel);
}

static char *big(void) {
    char *bytes = malloc(BIG);
    FILE *file = fopen(at("BIG"), "r");
    if (!file || fread(bytes, 1, BIG, file) != BIG) exit(1);
    return bytes;
}

static void whole(const char *sent, const char *back, size_t size) {
    if (size == BIG && !memcmp(sent, back, BIG)) puts("whole");
    else printf("%zu bytes\n", size);
}

/* One session is one thread, so it is written and read in turns. */
static void bulk(void) {
    char *sent = big(), *back = malloc(BIG);
    size_t got = 0;
    ssh_channel channel = opened();
    must(ssh_channel_request_exec(channel, at("REMOTE")), "exec");
    for (size_t put = 0; put < BIG; put += 32768) {
        ssh_channel_write(channel, sent + put, 32768);
        while (got < put + 32768) {
            int size = ssh_channel_read(channel, back + got, put + 32768 - got, 0);
            if (size <= 0) fail("read");
            got += size;
        }
    }
    ssh_channel_send_eof(channel);
    whole(sent, back, got);
    finish(channel);
}

static void terminal(void) {
    char ready[4096];
    ssh_channel channel = opened();
    must(ssh_channel_request_pty_size(channel, "xterm", 99, 33), "terminal");
    must(ssh_channel_request_exec(channel, at("REMOTE")), "exec");
    snprintf(ready, sizeof ready, "%s/ready", at("FAR"));
    while (access(ready, F_OK)) usleep(20000);
    must(ssh_channel_change_pty_size(channel, 111, 44), "size");
    finish(channel);
}

static void sessions(void) {
    int done = 0;
    for (int round = 0; round < 5; round++) {
        ssh_channel channels[6];
        char line[256], got[64], want[64];
        for (int n = 0; n < 6; n++) {
            channels[n] = opened();
            snprintf(line, sizeof line, "%s %d.%d", at("REMOTE"), round, n);
            must(ssh_channel_request_exec(channels[n], line), "exec");
        }
        for (int n = 0; n < 6; n++) {
            int size = ssh_channel_read(channels[n], got, sizeof got - 1, 0);
            got[size > 0 ? size : 0] = 0;
            snprintf(want, sizeof want, "%d.%d\n", round, n);
            done += !strcmp(got, want);
            ssh_channel_close(channels[n]);
        }
    }
    printf("%d of 30\n", done);
}

static char *there(const char *name) {
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 4096, "%s/%s", at("FAR"), name);
    return path;
}

static sftp_session files_of(void) {
    sftp_session sftp = sftp_new(session);
    if (!sftp || sftp_init(sftp) != SSH_OK) fail("sftp");
    return sftp;
}

static void put(sftp_session sftp, const char *path, const char *bytes, size_t size) {
    sftp_file file = sftp_open(sftp, path, O_CREAT | O_WRONLY | O_TRUNC, 0640);
    if (!file) fail("open");
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < 32768 ? size - done : 32768;
        ssize_t written = sftp_write(file, bytes + done, piece);
        if (written < 0) fail("write");
        done += written;
    }
    sftp_close(file);
}

static size_t get(sftp_session sftp, const char *path, char *bytes, size_t room) {
    sftp_file file = sftp_open(sftp, path, O_RDONLY, 0);
    size_t got = 0;
    ssize_t size;
    if (!file) fail("open");
    while (got < room && (size = sftp_read(file, bytes + got, room - got > 32768 ? 32768 : room - got)) > 0)
        got += size;
    sftp_close(file);
    return got;
}

static int listed(sftp_session sftp, const char *path, const char *looked_for) {
    sftp_dir dir = sftp_opendir(sftp, path);
    sftp_attributes found;
    int count = 0;
    if (!dir) fail("list");
    while ((found = sftp_readdir(sftp, dir))) {
        if (looked_for ? !strcmp(found->name, looked_for) : found->name[0] != '.') count++;
        sftp_attributes_free(found);
    }
    sftp_closedir(dir);
    return count;
}

static void files(void) {
    char back[64] = {0};
    sftp_session sftp = files_of();
    put(sftp, there("one"), "one\n", 4);
    if (sftp_rename(sftp, there("one"), there("renamed"))) fail("rename");
    if (sftp_mkdir(sftp, there("folder"), 0750)) fail("mkdir");
    put(sftp, there("folder/three"), "three\n", 6);
    if (sftp_chmod(sftp, there("renamed"), 0600)) fail("chmod");
    get(sftp, there("renamed"), back, sizeof back);
    printf("renamed: %s%s\n", back, sftp_canonicalize_path(sftp, there("folder/..")));
    printf("%d %d\n", listed(sftp, at("FAR"), NULL), listed(sftp, at("FAR"), "folder"));
    if (sftp_mkdir(sftp, there("gone"), 0700) || sftp_rmdir(sftp, there("gone"))) fail("rmdir");
    if (!sftp_stat(sftp, there("nothing"))) printf("stat %d\n", sftp_get_error(sftp));
    if (sftp_unlink(sftp, there("nothing"))) printf("unlink %d\n", sftp_get_error(sftp));
    if (!sftp_opendir(sftp, there("nothing"))) printf("opendir %d\n", sftp_get_error(sftp));
}

static void linked(void) {
    sftp_session sftp = files_of();
    if (sftp_symlink(sftp, there("renamed"), there("link"))) fail("symlink");
    puts(sftp_readlink(sftp, there("link")));
}

static void oddname(void) {
    char *sent = big(), *back = malloc(BIG);
    sftp_session sftp = files_of();
    put(sftp, there(at("ODD")), sent, BIG);
    printf("%d\n", listed(sftp, at("FAR"), at("ODD")));
    whole(sent, back, get(sftp, there(at("ODD")), back, BIG));
}

static void local(void) {
    ssh_channel channel = ssh_channel_new(session), refused = ssh_channel_new(session);
    must(ssh_channel_open_forward(channel, "localhost", atoi(at("SERVICE")), "127.0.0.1", 1), "forward");
    ssh_channel_write(channel, "hello\n", 6);
    copy(channel, 0, stdout);
    printf("%d\n", ssh_channel_open_forward(refused, "localhost", 1, "127.0.0.1", 1) == SSH_OK);
}

static void localsocket(void) {
    ssh_channel channel = ssh_channel_new(session);
    must(ssh_channel_open_forward_unix(channel, at("SOCKET"), "127.0.0.1", 1), "forward");
    ssh_channel_write(channel, "hello\n", 6);
    copy(channel, 0, stdout);
}

static void keepalive(void) {
    ssh_channel channel = opened();
    must(ssh_channel_request_exec(channel, at("REMOTE")), "exec");
    for (int n = 0; n < 5; n++) {
        must(ssh_send_keepalive(session), "keepalive");
        sleep(1);
    }
    finish(channel);
}

static void display(void) {
    char heard[4096];
    ssh_channel channel = opened();
    must(ssh_channel_request_x11(channel, 0, NULL, NULL, 0), "x11");
    must(ssh_channel_request_exec(channel, at("REMOTE")), "exec");
    ssh_channel drawn = ssh_channel_accept_x11(channel, 10000);
    if (!drawn) fail("nobody draws");
    ssh_channel_read(drawn, heard, sizeof heard, 0);
    ssh_channel_write(drawn, "greeting\n", 9);
    ssh_channel_send_eof(drawn);
    finish(channel);
}

static ssh_channel lent;

static ssh_channel lend(ssh_session asked, void *nothing) {
    (void)nothing;
    return lent = ssh_channel_new(asked);
}

/* What the target wants of the agent, and what the agent says, until the program is done. */
static void agent(void) {
    static struct ssh_callbacks_struct callbacks = {.channel_open_request_auth_agent_function = lend};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char piece[65536];
    int size, to = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, at("AGENT"), sizeof address.sun_path - 1);
    if (connect(to, (struct sockaddr *)&address, sizeof address)) exit(1);
    ssh_callbacks_init(&callbacks);
    ssh_set_callbacks(session, &callbacks);
    ssh_channel channel = opened();
    must(ssh_channel_request_auth_agent(channel), "agent");
    must(ssh_channel_request_exec(channel, at("REMOTE")), "exec");
    while (!ssh_channel_is_eof(channel)) {
        if ((size = ssh_channel_read_timeout(channel, piece, sizeof piece, 0, 20)) > 0) fwrite(piece, 1, size, stdout);
        if (!lent) continue;
        if ((size = ssh_channel_read_nonblocking(lent, piece, sizeof piece, 0)) > 0 && write(to, piece, size) < 0) exit(1);
        if ((size = recv(to, piece, sizeof piece, MSG_DONTWAIT)) > 0) ssh_channel_write(lent, piece, size);
    }
    finish(channel);
}

static void reverse(void) {
    char line[256], heard[64];
    int port = atoi(at("PORT_A"));
    must(ssh_channel_listen_forward(session, "localhost", port, NULL), "listen");
    /* Somebody comes while we wait. */
    snprintf(line, sizeof line, "exec 3<>/dev/tcp/127.0.0.1/%d; echo hello >&3; cat <&3", port);
    fflush(stdout);
    if (!fork()) execl("/bin/bash", "bash", "-c", line, (char *)NULL);
    ssh_channel channel = ssh_channel_open_forward_port(session, 10000, &port, NULL, NULL);
    if (!channel) fail("nobody came");
    ssh_channel_write(channel, "welcome\n", 8);
    int size = ssh_channel_read(channel, heard, sizeof heard, 0);
    ssh_channel_write(channel, heard, size);
    ssh_channel_send_eof(channel);
    ssh_channel_close(channel);
    /* The close goes out with whatever is asked next. */
    must(ssh_channel_cancel_forward(session, "localhost", atoi(at("PORT_A"))), "cancel");
    usleep(300000);
}

int main(void) {
    const char *doing = at("CASE");
    login();
    if (!strcmp(doing, "input")) run("one\ntwo\n");
    else if (!strcmp(doing, "bulk") || !strcmp(doing, "rekey")) bulk();
    else if (!strcmp(doing, "terminal")) terminal();
    else if (!strcmp(doing, "sessions")) sessions();
    else if (!strcmp(doing, "files")) files();
    else if (!strcmp(doing, "directory")) printf("%d\n", listed(files_of(), at("MANY"), NULL));
    else if (!strcmp(doing, "link")) linked();
    else if (!strcmp(doing, "oddname")) oddname();
    else if (!strcmp(doing, "local")) local();
    else if (!strcmp(doing, "localsocket")) localsocket();
    else if (!strcmp(doing, "reverse")) reverse();
    else if (!strcmp(doing, "keepalive")) keepalive();
    else if (!strcmp(doing, "agent")) agent();
    else if (!strcmp(doing, "display")) display();
    else run(NULL);
    fflush(stdout);
    ssh_disconnect(session);
    return 0;
}
