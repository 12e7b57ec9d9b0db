/* SPDX-License-Identifier: MIT */
/* The registers of interrupted code, read from a signal handler's third
 * argument: weft_registers_pc(), _sp() and _fp() (the frame pointer), 0 where
 * the CPU is not known here. Context: anywhere. */
#ifndef WEFT_ARCH_REGISTERS_H_
#define WEFT_ARCH_REGISTERS_H_

#if defined(__x86_64__)
#include "weft/arch/x86_64/registers.h"
#elif defined(__aarch64__)
#include "weft/arch/aarch64/registers.h"
#else
#include "weft/arch/generic/registers.h"
#endif

#endif
