// Copyright © 2026 The mlx-fork authors
//
// objc_msgSend: finds the method and jumps to it, with all argument registers
// as they came, so that one function serves methods of every signature.
// Exceptions that a method throws pass through: a jump leaves no frame.

#if defined(__x86_64__)

// The frame keeps the stack aligned: 8 bytes of return address, 8 of rbp, and
// 192.
__asm__(R"(
    .text
    .macro emu_send name, receiver, selector
    .globl \name
    .type \name, @function
\name:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    subq $192, %rsp
    movq %rdi, 0(%rsp)
    movq %rsi, 8(%rsp)
    movq %rdx, 16(%rsp)
    movq %rcx, 24(%rsp)
    movq %r8, 32(%rsp)
    movq %r9, 40(%rsp)
    movq %rax, 48(%rsp)
    movaps %xmm0, 64(%rsp)
    movaps %xmm1, 80(%rsp)
    movaps %xmm2, 96(%rsp)
    movaps %xmm3, 112(%rsp)
    movaps %xmm4, 128(%rsp)
    movaps %xmm5, 144(%rsp)
    movaps %xmm6, 160(%rsp)
    movaps %xmm7, 176(%rsp)
    movq \receiver(%rsp), %rdi
    movq \selector(%rsp), %rsi
    call emu_host_find_method
    movq %rax, %r11
    movaps 176(%rsp), %xmm7
    movaps 160(%rsp), %xmm6
    movaps 144(%rsp), %xmm5
    movaps 128(%rsp), %xmm4
    movaps 112(%rsp), %xmm3
    movaps 96(%rsp), %xmm2
    movaps 80(%rsp), %xmm1
    movaps 64(%rsp), %xmm0
    movq 48(%rsp), %rax
    movq 40(%rsp), %r9
    movq 32(%rsp), %r8
    movq 24(%rsp), %rcx
    movq 16(%rsp), %rdx
    movq 8(%rsp), %rsi
    movq 0(%rsp), %rdi
    leave
    .cfi_def_cfa %rsp, 8
    jmp *%r11
    .cfi_endproc
    .size \name, .-\name
    .endm

    emu_send objc_msgSend, 0, 8
    emu_send objc_msgSend_fpret, 0, 8
    emu_send objc_msgSend_stret, 8, 16
)");

#elif defined(__aarch64__)

// x8 is where a method puts a structure that it returns.
__asm__(R"(
    .text
    .globl objc_msgSend
    .type objc_msgSend, %function
objc_msgSend:
    .cfi_startproc
    stp x29, x30, [sp, #-224]!
    .cfi_def_cfa_offset 224
    .cfi_offset x29, -224
    .cfi_offset x30, -216
    mov x29, sp
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    str x8, [sp, #80]
    stp q0, q1, [sp, #96]
    stp q2, q3, [sp, #128]
    stp q4, q5, [sp, #160]
    stp q6, q7, [sp, #192]
    bl emu_host_find_method
    mov x16, x0
    ldp q6, q7, [sp, #192]
    ldp q4, q5, [sp, #160]
    ldp q2, q3, [sp, #128]
    ldp q0, q1, [sp, #96]
    ldr x8, [sp, #80]
    ldp x6, x7, [sp, #64]
    ldp x4, x5, [sp, #48]
    ldp x2, x3, [sp, #32]
    ldp x0, x1, [sp, #16]
    ldp x29, x30, [sp], #224
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    br x16
    .cfi_endproc
    .size objc_msgSend, .-objc_msgSend
)");

#else
#error "objc_msgSend is written for x86-64 and aarch64"
#endif
