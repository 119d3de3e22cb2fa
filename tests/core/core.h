/* What the sources here share: sections, and the builtins that ask for a CO-RE relocation. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define NOINLINE __attribute__((noinline))
#define LICENSE char _license[] SEC("license") = "GPL"

#define OFFSET(field) __builtin_preserve_field_info(field, 0)
#define SIZE(field) __builtin_preserve_field_info(field, 1)
#define EXISTS(field) __builtin_preserve_field_info(field, 2)
#define SIGNED(field) __builtin_preserve_field_info(field, 3)
#define LSHIFT(field) __builtin_preserve_field_info(field, 4)
#define RSHIFT(field) __builtin_preserve_field_info(field, 5)

#define TYPE_EXISTS(type) __builtin_preserve_type_info(*(type *)0, 0)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(type *)0, 1)
#define TYPE_ID_LOCAL(type) __builtin_btf_type_id(*(type *)0, 0)
#define TYPE_ID_TARGET(type) __builtin_btf_type_id(*(type *)0, 1)

/* `name` is a value of `type`: the builtin wants it as a pointer of that type. */
#define VALUE_EXISTS(type, name) __builtin_preserve_enum_value(*(type *)name, 0)
#define VALUE(type, name) __builtin_preserve_enum_value(*(type *)name, 1)

static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static u64 (*get_current_task)(void) = (void *)35;

/* Reads one field of a struct that no verifier knows. */
#define READ(field) ({ __typeof__(field) value = 0; probe_read_kernel(&value, sizeof(value), &(field)); value; })
