/* codes - the numbers that Chinese administration uses, and their check digits (GB 11643, GB 32100, GB/T 2260, GB/T 10114).
 *
 * Resident and credit numbers are checked and forgotten: never stored in the clear, never logged.
 */
#ifndef PD_BASE_CODES_H
#define PD_BASE_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 6 digits, 110000 .. 829999: a province, city or district. */
bool pd_adcode_valid(uint32_t adcode);

/* 12 digits that begin with the adcode; town and village parts within their ranges (town 001-399, village 000-399). */
bool pd_code12_valid(const char *text, uint32_t adcode);

/* 18 characters with a right check digit and a possible date of birth. */
bool pd_resident_id_valid(const char *text);

/* 18 characters of 0-9A-Z without I O S V Z, with a right check character. */
bool pd_credit_code_valid(const char *text);

#endif
