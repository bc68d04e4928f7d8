/* utf8 - is this text what it claims to be? */
#ifndef PD_BASE_UTF8_H
#define PD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms) without NUL and other control
 * characters (U+0000-001F, U+007F-009F) but tab. */
bool pd_utf8_valid(const char *text, size_t length);

#endif
