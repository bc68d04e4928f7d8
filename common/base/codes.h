/* codes - the numbers that Chinese administration uses, and their check digits (GB 11643, GB 32100,
 * GB/T 2260, GB/T 10114).
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

/* 12 digits that begin with the adcode; town and village 000-599, as the statistical division codes
 * use them (400-599: zones and farms that are no town or village).  Village 000 is the town itself,
 * town 000 with it the district. */
bool pd_code12_valid(const char *text, uint32_t adcode);

/* 18 characters with a right check digit (X of either case) and a date of birth that exists, from
 * 1850 on. */
bool pd_resident_id_valid(const char *text);

/* 18 characters of 0-9A-Z without I O S V Z, with a right check character. */
bool pd_credit_code_valid(const char *text);

#endif
