/* SPDX-License-Identifier: MIT */
/* Memory that runs out, for tests: a test that links this has a malloc(),
 * calloc() and realloc() that can be told to fail, and that count. They see the
 * calls of weft and of the test, not those within shared libraries. */
#ifndef WEFT_SYNC_FAILING_H_
#define WEFT_SYNC_FAILING_H_

/* The `nth` allocation from now on fails, 1 being the next one, and those after
 * it succeed again; 0: none does. Context: any thread. */
void weft_test_fail_nth(long nth);

/* Whether the one that was to fail has come. */
int weft_test_has_failed(void);

/* Whether each mmap() of weft fails from now on. Context: any thread. */
void weft_test_fail_mmap(int fails);

/* How many allocations there are that nobody has freed. */
long weft_test_allocated(void);

#endif
