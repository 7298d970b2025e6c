/* Welcomes people, in C: a client sends the plugin event `greet`, everybody on the server hears `welcome` with a number that goes up for ever,
 * and GET /api/plugins/route/welcome-c/ tells how many were welcomed and who came last.
 *
 * Names stay JSON text from the event to the answer, so that nothing has to be escaped here. What a call hands over belongs to the one who
 * gets it: arguments are freed here, what is returned is freed by the bindings. */
#include "companion.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A string that lives elsewhere, for the time of a call. */
#define TEXT(characters) (&(companion_string_t){(uint8_t *)(characters), strlen(characters)})

/* A JSON string without its quotation marks. */
typedef struct {
    const char *at;
    int length;
} words_t;

static void note(jackfield_plugin_log_level_t level, const char *message, const char *fields) {
    jackfield_plugin_log_write(level, TEXT(message), TEXT(fields));
}

/* The first JSON string from `at` on. What is read here was written by the host, or by this plugin; anything else is a fault that ends the
 * instance. */
static words_t first_words(const uint8_t *at, size_t length) {
    const uint8_t *end = at + length;
    while (at < end && *at != '"') at++;
    const uint8_t *begin = ++at;
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    if (at >= end) {
        note(JACKFIELD_PLUGIN_LOG_LEVEL_ERROR, "there is no JSON string where one was expected", "{}");
        abort();
    }
    return (words_t){(const char *)begin, (int)(at - begin)};
}

static words_t trimmed(words_t words) {
    while (words.length > 0 && *words.at == ' ') words.at++, words.length--;
    while (words.length > 0 && words.at[words.length - 1] == ' ') words.length--;
    return words;
}

void exports_jackfield_plugin_meta_get_info(exports_jackfield_plugin_meta_plugin_info_t *ret) {
    companion_string_dup(&ret->id, "jackfield.welcome-c");
    companion_string_dup(&ret->version, "0.1.0");
}

bool exports_jackfield_plugin_lifecycle_activate(exports_jackfield_plugin_lifecycle_context_t *context,
                                                 exports_jackfield_plugin_lifecycle_plugin_error_t *err) {
    note(JACKFIELD_PLUGIN_LOG_LEVEL_INFO, "welcome is here",
         context->server_id.is_some ? "{\"language\":\"C\",\"role\":\"server\"}" : "{\"language\":\"C\",\"role\":\"host\"}");
    exports_jackfield_plugin_lifecycle_context_free(context);
    return true;
}

bool exports_jackfield_plugin_lifecycle_ready(exports_jackfield_plugin_lifecycle_plugin_error_t *err) { return true; }

void exports_jackfield_plugin_lifecycle_deactivate(void) {}

void exports_jackfield_plugin_lifecycle_on_settings_changed(companion_string_t *settings) { companion_string_free(settings); }

void exports_jackfield_plugin_lifecycle_on_requirements_changed(companion_string_t *server_id, companion_string_t *snapshot) {
    companion_string_free(server_id);
    companion_string_free(snapshot);
}

void exports_jackfield_plugin_lifecycle_on_data_changed(exports_jackfield_plugin_lifecycle_data_change_t *change) {
    exports_jackfield_plugin_lifecycle_data_change_free(change);
}

/* Counts, remembers and tells everybody. */
static bool welcome(companion_string_t *server_id, words_t name, jackfield_plugin_types_plugin_error_t *err) {
    int64_t number;
    if (!jackfield_plugin_kv_add(TEXT("welcomed"), 1, &number, err)) return false;
    char stored[512], payload[1024], fields[64];
    int length = snprintf(stored, sizeof stored, "\"%.*s\"", name.length, name.at);
    companion_list_u8_t value = {(uint8_t *)stored, (size_t)length};
    if (!jackfield_plugin_kv_set(TEXT("latest"), &value, err)) return false;
    companion_string_t setting = {0};
    jackfield_plugin_settings_get(TEXT("greeting"), &setting);
    words_t greeting = first_words(setting.ptr, setting.len);
    snprintf(payload, sizeof payload, "{\"text\":\"%.*s, %.*s!\",\"number\":%lld,\"at\":%llu}", greeting.length, greeting.at, name.length,
             name.at, (long long)number, (unsigned long long)jackfield_plugin_clock_now());
    companion_string_free(&setting);
    if (!jackfield_plugin_events_publish(server_id, TEXT("welcome"), TEXT(payload), NULL, NULL, err)) return false;
    snprintf(fields, sizeof fields, "{\"number\":%lld}", (long long)number);
    note(JACKFIELD_PLUGIN_LOG_LEVEL_INFO, "welcomed somebody", fields);
    return true;
}

bool exports_jackfield_plugin_event_handler_on_event(exports_jackfield_plugin_event_handler_plugin_event_t *event,
                                                     exports_jackfield_plugin_event_handler_disposition_t *ret,
                                                     exports_jackfield_plugin_event_handler_plugin_error_t *err) {
    bool done = true;
    ret->tag = EXPORTS_JACKFIELD_PLUGIN_EVENT_HANDLER_DISPOSITION_RELAY;
    if (event->event_name.len == 5 && memcmp(event->event_name.ptr, "greet", 5) == 0) {
        /* The schema of the manifest leaves one member, a string of at most 64 characters: what follows the colon. */
        const uint8_t *colon = memchr(event->payload.ptr, ':', event->payload.len);
        if (colon == NULL) abort();
        words_t name = trimmed(first_words(colon, event->payload.len - (size_t)(colon - event->payload.ptr)));
        if (name.length == 0) {
            ret->tag = EXPORTS_JACKFIELD_PLUGIN_EVENT_HANDLER_DISPOSITION_REJECT;
            companion_string_dup(&ret->val.reject, "a name has letters");
        } else {
            ret->tag = EXPORTS_JACKFIELD_PLUGIN_EVENT_HANDLER_DISPOSITION_CONSUME;
            done = welcome(&event->server_id, name, err);
        }
    }
    exports_jackfield_plugin_event_handler_plugin_event_free(event);
    return done;
}

void exports_jackfield_plugin_event_handler_on_message(exports_jackfield_plugin_event_handler_bus_message_t *message) {
    exports_jackfield_plugin_event_handler_bus_message_free(message);
}

/* Answers with what is stored. */
static bool tell(jackfield_plugin_http_body_borrow_writer_t answer, jackfield_plugin_types_plugin_error_t *err) {
    int64_t number;
    companion_option_list_u8_t stored;
    if (!jackfield_plugin_kv_add(TEXT("welcomed"), 0, &number, err)) return false;
    if (!jackfield_plugin_kv_get(TEXT("latest"), &stored, err)) return false;
    char latest[520] = "null", body[600];
    if (stored.is_some) {
        words_t name = first_words(stored.val.ptr, stored.val.len);
        snprintf(latest, sizeof latest, "\"%.*s\"", name.length, name.at);
    }
    companion_option_list_u8_free(&stored);
    int length = snprintf(body, sizeof body, "{\"welcomed\":%lld,\"latest\":%s}", (long long)number, latest);
    companion_tuple2_string_list_u8_t type = {*TEXT("content-type"), {(uint8_t *)"application/json", 16}};
    jackfield_plugin_http_body_headers_t headers = {&type, 1};
    if (!jackfield_plugin_http_body_method_writer_start(answer, 200, &headers, err)) return false;
    companion_list_u8_t bytes = {(uint8_t *)body, (size_t)length};
    return jackfield_plugin_http_body_method_writer_write(answer, &bytes, err);
}

bool exports_jackfield_plugin_http_handler_handle(exports_jackfield_plugin_http_handler_request_t *request,
                                                  exports_jackfield_plugin_http_handler_own_reader_t body,
                                                  exports_jackfield_plugin_http_handler_own_writer_t answer,
                                                  exports_jackfield_plugin_http_handler_plugin_error_t *err) {
    bool done = false;
    if (request->method.len == 3 && memcmp(request->method.ptr, "GET", 3) == 0) {
        done = tell(jackfield_plugin_http_body_borrow_writer(answer), err);
    } else {
        err->code = JACKFIELD_PLUGIN_TYPES_ERROR_CODE_UNSUPPORTED;
        companion_string_dup(&err->message, "only GET is answered here");
        err->details.is_some = false;
    }
    jackfield_plugin_http_body_reader_drop_own(body);
    jackfield_plugin_http_body_writer_drop_own(answer);
    exports_jackfield_plugin_http_handler_request_free(request);
    return done;
}
