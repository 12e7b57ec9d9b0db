/* SPDX-License-Identifier: MIT */
/* Memory that runs out, for tests: a test that links this has a malloc(),
 * calloc(), realloc(), posix_memalign(), mmap() and pthread_create() that can
 * be told to fail, and that count. They see the calls of weft and of the test,
 * not those within shared libraries. */
#ifndef WEFT_SYNC_FAILING_H_
#define WEFT_SYNC_FAILING_H_

/* The `nth` malloc(), calloc() or realloc() from now on fails, 1 being the next
 * one, and those after it succeed again; 0: none does. Context: any thread. */
void weft_test_fail_nth(long nth);

/* The same for the `nth` of anything that is named above; and for the `nth`
 * that a task asks for, not the runtime's own threads beside it. */
void weft_test_fail_nth_of_any(long nth);
void weft_test_fail_nth_of_tasks(long nth);

/* Whether the one that was to fail has come. */
int weft_test_has_failed(void);

/* Whether each mmap() of weft fails from now on. Context: any thread. */
void weft_test_fail_mmap(int fails);

/* How many allocations there are that nobody has freed. What has come of
 * posix_memalign() is counted where it is freed and not where it is made, since
 * the runtime's threads make records when they like: weft_test_aligned() is the
 * number of those, so that the sum is true when nothing runs. */
long weft_test_allocated(void);
long weft_test_aligned(void);

/* How many bytes are mapped that nobody has unmapped. */
long weft_test_mapped(void);

#endif
