/* SPDX-License-Identifier: MIT */
/* All that a program needs, in one header; each can be included alone too.
 *
 *   sched/runtime.h   weft_run(), configuration, counters
 *   sched/task.h      tasks: start, join, cancel, sleep, yield
 *   sched/virtual_clock.h  time that jumps when all wait, for tests
 *   sync/             mutex, rwlock, condition, semaphore, wait group, channel,
 *                     select, event, once, barrier, ticker, scope, task-local
 *                     values
 *   io/               stream sockets and what is adopted (io.h), datagrams,
 *                     messages with descriptors, pipes, sendfile, names,
 *                     signals, child processes, buffers, all with deadlines;
 *                     files; addresses
 *   base/clock.h      WEFT_MS and its like, WEFT_FOREVER
 *   version.h         weft_version() */
#ifndef WEFT_WEFT_H_
#define WEFT_WEFT_H_

#include "weft/base/clock.h"
#include "weft/io/address.h"
#include "weft/io/dial.h"
#include "weft/io/file.h"
#include "weft/io/io.h"
#include "weft/io/message.h"
#include "weft/io/pipe.h"
#include "weft/io/process.h"
#include "weft/io/reader.h"
#include "weft/io/resolve.h"
#include "weft/io/sendfile.h"
#include "weft/io/signal_channel.h"
#include "weft/io/udp.h"
#include "weft/io/writer.h"
#include "weft/sched/runtime.h"
#include "weft/sched/task.h"
#include "weft/sched/virtual_clock.h"
#include "weft/sync/barrier.h"
#include "weft/sync/channel.h"
#include "weft/sync/condition.h"
#include "weft/sync/event.h"
#include "weft/sync/mutex.h"
#include "weft/sync/once.h"
#include "weft/sync/rwlock.h"
#include "weft/sync/scope.h"
#include "weft/sync/select.h"
#include "weft/sync/semaphore.h"
#include "weft/sync/task_local.h"
#include "weft/sync/ticker.h"
#include "weft/sync/wait_group.h"
#include "weft/version.h"

#endif
