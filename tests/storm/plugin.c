/* SPDX-License-Identifier: MIT */
/* A shared object that is loaded and unloaded in a storm. It has a constructor
 * and a thread-local, whose memory the loader takes when it is first touched.
 */
int storm_plugin_answer(int question);

static int ready;
static _Thread_local int mine;

__attribute__((constructor)) static void begin(void) {
    ready = 42;
}

int storm_plugin_answer(int question) {
    mine = question;
    for (volatile int i = 0; i < 500; i++) {
    }
    return mine == question ? question + ready : -1;
}
