#include "common/base/codes.h"

#include "common/base/calendar.h"

#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool are_digits(const char *text, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!is_digit(text[i])) return false;
  }
  return true;
}

static uint32_t number(const char *digits, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; i++) value = value * 10 + (uint32_t)(digits[i] - '0');
  return value;
}

static bool has_length(const char *text, size_t length) {
  return strnlen(text, length + 1) == length;
}

bool pd_adcode_valid(uint32_t adcode) { return adcode >= 110000 && adcode <= 829999; }

bool pd_code12_valid(const char *text, uint32_t adcode) {
  if (!pd_adcode_valid(adcode) || !has_length(text, 12) || !are_digits(text, 12)) return false;
  uint32_t town = number(text + 6, 3), village = number(text + 9, 3);
  if (number(text, 6) != adcode || town > 599 || village > 599) return false;
  return town > 0 || village == 0;
}

bool pd_resident_id_valid(const char *text) {
  if (!has_length(text, 18) || !are_digits(text, 17)) return false;
  struct pd_date birth = {
      .year = (int32_t)number(text + 6, 4),
      .month = (int32_t)number(text + 10, 2),
      .day = (int32_t)number(text + 12, 2),
  };
  if (birth.year < 1850 || !pd_date_valid(birth)) return false;
  uint32_t sum = 0, weight = 1;
  for (size_t i = 17; i-- > 0;) {
    weight = weight * 2 % 11;
    sum += (uint32_t)(text[i] - '0') * weight;
  }
  return "10X98765432"[sum % 11] == (text[17] == 'x' ? 'X' : text[17]);
}

bool pd_credit_code_valid(const char *text) {
  static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
  if (!has_length(text, 18)) return false;
  uint32_t sum = 0, weight = 1;
  for (size_t i = 0; i < 17; i++) {
    const char *found = strchr(alphabet, text[i]);
    if (found == NULL) return false;
    sum += (uint32_t)(found - alphabet) * weight;
    weight = weight * 3 % 31;
  }
  return text[17] == alphabet[(31 - sum % 31) % 31];
}
