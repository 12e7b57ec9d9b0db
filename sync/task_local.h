/* SPDX-License-Identifier: MIT */
/* Task-local storage: what a task keeps for itself under a key, as a thread
 * does with pthread_setspecific(). It goes with the task from thread to thread.
 *
 *     static struct weft_task_local user = WEFT_TASK_LOCAL_INIT(free);
 *
 *     weft_task_local_set(&user, strdup(name));
 *     ... weft_task_local_get(&user) ...      // in this task: its own
 *
 * A key is a variable; its address is what tells it from others. So there may
 * be any number of them, and making one cannot fail. It must stay until all
 * tasks that have a value for it have ended: static, as a rule. */
#ifndef WEFT_SYNC_TASK_LOCAL_H_
#define WEFT_SYNC_TASK_LOCAL_H_

#ifdef __cplusplus
extern "C" {
#endif

struct weft_task_local {
    /* Called for the value that a task has when it ends, in that task, unless
     * NULL. It may do all that tasks do, but a wait may return -ECANCELED. */
    void (*end)(void *value);
};

/* clang-format off */
#define WEFT_TASK_LOCAL_INIT(end) {end}
/* clang-format on */

/* The calling task's value for `key`, NULL when it has none, and outside a
 * task. The keys that the task uses are looked through one by one.
 * Context: any thread; does not switch. */
void *weft_task_local_get(const struct weft_task_local *key);

/* Sets it; NULL means none. The value that was there is the caller's again:
 * `end` is not called for it. When the task ends, the last key to get a value
 * is the first to be ended; one that gets a value meanwhile is ended too.
 * Returns 0; -ENOMEM, when the value is as it was (a key that has a value never
 * fails); -EPERM outside a task. Context: any thread; does not switch. */
int weft_task_local_set(const struct weft_task_local *key, void *value);

#ifdef __cplusplus
}
#endif

#endif
