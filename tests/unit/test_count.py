#!/usr/bin/python3
"""scripts/count-tests counts what failed as failed, whoever says so."""
import os
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = os.path.join(HERE, "..", "..", "scripts", "count-tests")

CRITERION = "[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: %d "


def case(status, output=""):
    failure = '<failure message="it"/>' if status == "fail" else ""
    return '<testcase name="x" status="%s">%s<system-out>%s</system-out></testcase>' % (
        status, failure, output)


class Count(unittest.TestCase):
    def count(self, *runs):
        with tempfile.TemporaryDirectory() as folder:
            names = [os.path.join(folder, "%d.xml" % n) for n in range(len(runs))]
            for name, cases in zip(names, runs):
                with open(name, "w", encoding="utf-8") as file:
                    file.write("<testsuite>%s</testsuite>" % "".join(cases))
            output = subprocess.run(["/usr/bin/python3", COUNT] + names, capture_output=True,
                                    text=True, check=True).stdout
        return tuple(int(n) for n in output.split())

    def test_a_program_of_another_kind_is_one_case(self):
        self.assertEqual(self.count([case("run"), case("run", "Ran 37 tests"), case("fail")]),
                         (2, 1))

    def test_a_criterion_program_is_as_many_cases_as_it_says(self):
        self.assertEqual(self.count([case("run", CRITERION % (7, 7, 0, 0))]), (7, 0))
        self.assertEqual(self.count([case("fail", CRITERION % (7, 4, 2, 1))]), (4, 3))

    def test_a_report_after_passing_cases_is_a_failure(self):
        self.assertEqual(self.count([case("fail", CRITERION % (7, 7, 0, 0))]), (7, 1))

    def test_a_test_that_did_not_run_is_a_failure(self):
        self.assertEqual(self.count([case("notrun"), case("disabled")]), (0, 2))

    def test_a_test_that_says_why_it_is_skipped_counts_neither_way(self):
        skipped = case("notrun", "SKIP  no node here").replace("<system", "<skipped/><system")
        self.assertEqual(self.count([case("run"), skipped]), (1, 0))
        silent = case("notrun").replace("<system", "<skipped/><system")
        self.assertEqual(self.count([case("run"), silent]), (1, 1))

    def test_a_run_without_tests_is_a_failure(self):
        self.assertEqual(self.count([case("run")], []), (1, 1))


if __name__ == "__main__":
    unittest.main()
