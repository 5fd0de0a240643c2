/*
 * Lets user-mode Linux run where the processor has more state than its buffers hold (AMX: 11 KB instead of 2.6).
 *
 * The host wants the whole of the XSAVE area when it is written (PTRACE_SETREGSET with NT_X86_XSTATE), and refuses a part. This
 * comes between the two (LD_PRELOAD): it hands the host an area of its size, of which the guest's kernel knows the beginning. What
 * lies behind is in its initial state: no program has the permission for AMX there that it would have to ask for.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* NT_X86_XSTATE of the largest processor so far, and room for more. */
static char area[1 << 16];

static long whole(int request, long pid, struct iovec *part)
{
    struct iovec all = {area, sizeof area};
    if (request == PTRACE_SETREGSET) {
        /* how long it is, and what is behind the part */
        if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &all) < 0)
            return -1;
        size_t known = part->iov_len < all.iov_len ? part->iov_len : all.iov_len;
        memcpy(area, part->iov_base, known);
        return syscall(SYS_ptrace, request, pid, NT_X86_XSTATE, &all);
    }
    long result = syscall(SYS_ptrace, request, pid, NT_X86_XSTATE, &all);
    if (result >= 0) {
        if (part->iov_len > all.iov_len)
            part->iov_len = all.iov_len;
        memcpy(part->iov_base, area, part->iov_len);
    }
    return result;
}

long ptrace(enum __ptrace_request request, ...)
{
    va_list list;
    va_start(list, request);
    long pid = va_arg(list, int);
    void *addr = va_arg(list, void *);
    void *data = va_arg(list, void *);
    va_end(list);
    if ((request == PTRACE_GETREGSET || request == PTRACE_SETREGSET) && (long)addr == NT_X86_XSTATE)
        return whole(request, pid, data);
    /* as the C library has it: a peeked word is the result, not behind a pointer */
    long word;
    if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER)
        data = &word;
    long result = syscall(SYS_ptrace, request, pid, addr, data);
    return result >= 0 && data == &word ? word : result;
}
