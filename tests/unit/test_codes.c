/* Administrative numbers and their check digits. */
#include "common/base/codes.h"

#include <criterion/criterion.h>
#include <string.h>

/* The examples printed in GB 11643 and GB 32100: of no living person and of no firm. */
#define WOMAN "11010519491231002X"
#define MAN "440524188001010014"
#define FIRM "91350100M000100Y43"

Test(codes, an_adcode_has_six_digits_of_a_province) {
  cr_expect(pd_adcode_valid(370302));
  cr_expect(pd_adcode_valid(110000));
  cr_expect(pd_adcode_valid(829999));
  cr_expect_not(pd_adcode_valid(109999));
  cr_expect_not(pd_adcode_valid(830000));
  cr_expect_not(pd_adcode_valid(0));
}

Test(codes, a_division_code_continues_its_district) {
  cr_expect(pd_code12_valid("370302001001", 370302));
  cr_expect(pd_code12_valid("370302100400", 370302));
  cr_expect(pd_code12_valid("370302599599", 370302));
  cr_expect(pd_code12_valid("370302007000", 370302), "a town itself");
  cr_expect(pd_code12_valid("370302000000", 370302), "the district itself");
  cr_expect_not(pd_code12_valid("370303001001", 370302));
}

Test(codes, a_division_code_of_another_form_is_refused) {
  const char *const bad[] = {
      "",
      "37030200100",
      "3703020010011",
      "370302600001",
      "370302001600",
      "370302000001",
      "37030200100a",
      " 37030200100",
      "-37030200100",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect_not(pd_code12_valid(bad[i], 370302), "%s", bad[i]);
  cr_expect_not(pd_code12_valid("000000001001", 0));
}

Test(codes, the_examples_of_the_standards_are_valid) {
  cr_expect(pd_resident_id_valid(WOMAN));
  cr_expect(pd_resident_id_valid("11010519491231002x"));
  cr_expect(pd_resident_id_valid(MAN));
  cr_expect(pd_credit_code_valid(FIRM));
}

/* Both check sums are over a prime and no weight is a multiple of it: one wrong character never
 * goes unseen. */
Test(codes, one_wrong_digit_in_a_resident_number_is_always_found) {
  for (int i = 0; i < 18; i++) {
    for (char c = '0'; c <= '9'; c++) {
      char text[] = MAN;
      if (text[i] == c) continue;
      text[i] = c;
      cr_expect_not(pd_resident_id_valid(text), "%s", text);
    }
  }
}

Test(codes, one_wrong_character_in_a_credit_code_is_always_found) {
  static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabc -";
  for (int i = 0; i < 18; i++) {
    for (const char *c = alphabet; *c != 0; c++) {
      char text[] = FIRM;
      if (text[i] == *c) continue;
      text[i] = *c;
      cr_expect_not(pd_credit_code_valid(text), "%s", text);
    }
  }
}

/* The number with the right check digit, whatever it says. */
static const char *with_check_digit(char *text) {
  int sum = 0;
  for (int i = 0; i < 17; i++) sum += (text[i] - '0') * ((1 << (17 - i)) % 11);
  text[17] = "10X98765432"[sum % 11];
  return text;
}

Test(codes, a_right_check_digit_does_not_excuse_an_impossible_birthday) {
  cr_expect(pd_resident_id_valid(with_check_digit((char[]){"110105200002290020"})));
  cr_expect_not(pd_resident_id_valid(with_check_digit((char[]){"110105190002290020"})));
  cr_expect_not(pd_resident_id_valid(with_check_digit((char[]){"110105200013010020"})));
  cr_expect_not(pd_resident_id_valid(with_check_digit((char[]){"110105200000100020"})));
  cr_expect_not(pd_resident_id_valid(with_check_digit((char[]){"110105184912310020"})));
}

Test(codes, other_lengths_and_letters_are_refused) {
  cr_expect_not(pd_resident_id_valid(""));
  cr_expect_not(pd_resident_id_valid("11010519491231002"));
  cr_expect_not(pd_resident_id_valid(WOMAN "1"));
  cr_expect_not(pd_resident_id_valid("X1010519491231002X"));
  cr_expect_not(pd_credit_code_valid(""));
  cr_expect_not(pd_credit_code_valid("91350100M000100Y4"));
  cr_expect_not(pd_credit_code_valid(FIRM "0"));
  cr_expect_not(pd_credit_code_valid("91350100m000100y43"));
}
