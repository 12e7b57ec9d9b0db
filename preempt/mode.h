/* SPDX-License-Identifier: MIT */
/* How a task that overstays is made to give way: the choice, for users. */
#ifndef WEFT_PREEMPT_MODE_H_
#define WEFT_PREEMPT_MODE_H_

#ifdef __cplusplus
extern "C" {
#endif

enum weft_preempt_mode {
    WEFT_PREEMPT_DEFAULT, /* as the environment says, or the best there is */
    WEFT_PREEMPT_SIGNAL,  /* at any instruction */
    WEFT_PREEMPT_COOPERATIVE, /* at the next call into the scheduler */
    WEFT_PREEMPT_OFF,         /* never against the task's will */
};

/* The mode to use where `asked` was asked for, never DEFAULT. DEFAULT becomes
 * what WEFT_PREEMPT=signal|cooperative|off says, else SIGNAL; a value that is
 * none of these is reported on standard error and passed over. SIGNAL becomes
 * COOPERATIVE in a build without signals (--//preempt:no_signals, or a CPU
 * that has no frame_*.c), and under ThreadSanitizer (gcc's: unless
 * WEFT_PREEMPT=signal insists). Context: any thread while nobody changes the
 * environment. */
enum weft_preempt_mode weft_preempt_mode_choose(enum weft_preempt_mode asked);

/* "default", "signal", "cooperative" or "off". */
const char *weft_preempt_mode_name(enum weft_preempt_mode mode);

/* The mode of that name into *mode: 0, or -EINVAL. */
int weft_preempt_mode_parse(const char *name, enum weft_preempt_mode *mode);

#ifdef __cplusplus
}
#endif

#endif
