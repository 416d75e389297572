/* A client in C, on libsystemd's sd-varlink (systemd 257 or newer): prints each reply as a line of JSON, and an error as
 * {"error": ..., "parameters": ...}.
 *
 * usage: client SOCKET call|more METHOD JSON
 *
 * Build it with: cc client.c -lsystemd -o client
 */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-json.h>
#include <systemd/sd-varlink.h>

enum { DONE, REFUSED, LOST, USAGE };

static int lost(const char *what, int error) {
        fprintf(stderr, "client: cannot %s: %s\n", what, strerror(-error));
        return LOST;
}

/* Prints a reply or an error; gives what main() returns for it. */
static int show(sd_json_variant *parameters, const char *error_id) {
        sd_json_variant *shown = NULL;
        int r;

        if (!error_id) {
                if (parameters)
                        sd_json_variant_dump(parameters, SD_JSON_FORMAT_NEWLINE | SD_JSON_FORMAT_FLUSH, stdout, NULL);
                else /* a reply without any */
                        puts("{}");
                return DONE;
        }
        r = sd_json_buildo(
                &shown,
                SD_JSON_BUILD_PAIR("error", SD_JSON_BUILD_STRING(error_id)),
                SD_JSON_BUILD_PAIR("parameters", SD_JSON_BUILD_VARIANT(parameters)));
        if (r < 0)
                return lost("show an error", r);
        sd_json_variant_dump(shown, SD_JSON_FORMAT_NEWLINE | SD_JSON_FORMAT_FLUSH, stdout, NULL);
        sd_json_variant_unref(shown);
        return REFUSED;
}

struct stream {
        bool ended;
        int status;
};

static int on_reply(
                sd_varlink *link,
                sd_json_variant *parameters,
                const char *error_id,
                sd_varlink_reply_flags_t flags,
                void *userdata) {

        struct stream *stream = userdata;

        stream->status = show(parameters, error_id);
        if (error_id || !(flags & SD_VARLINK_REPLY_CONTINUES))
                stream->ended = true;
        return 0;
}

/* One call, one reply. */
static int call(sd_varlink *link, const char *method, sd_json_variant *parameters) {
        sd_json_variant *reply = NULL;
        const char *error_id = NULL;
        int r;

        r = sd_varlink_call(link, method, parameters, &reply, &error_id);
        if (r < 0 && !error_id)
                return lost("call the method", r);
        return show(reply, error_id);
}

/* One call with `more`, and every reply as it comes. */
static int follow(sd_varlink *link, const char *method, sd_json_variant *parameters) {
        struct stream stream = { .status = LOST };
        int r;

        sd_varlink_set_userdata(link, &stream);
        r = sd_varlink_bind_reply(link, on_reply);
        if (r < 0)
                return lost("bind", r);
        r = sd_varlink_observe(link, method, parameters);
        if (r < 0)
                return lost("call the method", r);
        while (!stream.ended) {
                r = sd_varlink_process(link);
                if (r == 0)
                        r = sd_varlink_wait(link, UINT64_MAX);
                if (r < 0)
                        return lost("read", r);
        }
        return stream.status;
}

int main(int argc, char *argv[]) {
        sd_varlink *link = NULL;
        sd_json_variant *parameters = NULL;
        int r, status;

        if (argc != 5) {
                fprintf(stderr, "usage: client SOCKET call|more METHOD JSON\n");
                return USAGE;
        }
        r = sd_json_parse(argv[4], 0, &parameters, NULL, NULL);
        if (r < 0)
                return lost("read the parameters", r);
        r = sd_varlink_connect_address(&link, argv[1]);
        if (r < 0)
                return lost("connect", r);
        /* A notification may take its time. */
        r = sd_varlink_set_relative_timeout(link, UINT64_MAX);
        if (r < 0)
                return lost("set the timeout", r);
        status = strcmp(argv[2], "more") == 0 ? follow(link, argv[3], parameters) : call(link, argv[3], parameters);
        sd_json_variant_unref(parameters);
        sd_varlink_close_unref(link);
        return status;
}
