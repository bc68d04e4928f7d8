#!/usr/bin/python3
"""scripts/check-style finds what it is there to find: each rule is broken in a tree of its own."""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = os.path.join(HERE, "..", "..", "scripts", "check-style")
LOADER = importlib.machinery.SourceFileLoader("check_style", PATH)
LOADER.exec_module(style := importlib.util.module_from_spec(
    importlib.util.spec_from_loader("check_style", LOADER)))

CORE = ("add_library(%(s)s_core STATIC %(s)s_core.c)\n"
        "target_link_libraries(%(s)s_core PUBLIC pd_base PRIVATE pd_core)\n")
GOOD = {
    "common/base/thing.h":
        "/* thing - good. */\n\n/* Say it. */\nint pd_say(int what);\nint pd_ask(int what);\n",
    "common/base/thing.c":
        '#include "common/base/thing.h"\n\n#include <string.h>\n\n'
        "int pd_say(int what) {\n  return what;\n}\n",
    "common/wire/core.h":
        "/* core - good. */\nstruct pd_core;\n",
    "services/points/CMakeLists.txt":
        CORE % {"s": "points"},
    "services/points/points_core.h":
        '/* points - good. */\n#include "common/wire/core.h"\n\n'
        "/* Fold. */\nvoid points_apply(void *self);\n",
    "services/points/points_core.c":
        '#include "services/points/points_core.h"\n#include "common/base/thing.h"\n'
        "\nvoid points_apply(void *self) {\n  pd_assert(self);\n}\n",
    "services/points/main.c":
        '#include "common/io/shell.h"\n#include "services/points/points_core.h"\n'
        "#include <uv.h>\nint main(void) { return 0; }\n",
}


class Tree(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        for folder in style.FOLDERS:
            os.mkdir(os.path.join(self.root, folder))
        for path, text in GOOD.items():
            self.write(path, text)

    def tearDown(self):
        shutil.rmtree(self.root)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def findings(self, check, *arguments):
        found = style.Findings()
        with contextlib.redirect_stdout(io.StringIO()):
            check(self.root, *arguments, found)
        return [line.split(": ")[0:2] for line in found.lines]

    def expect(self, check, where, rule):
        """Exactly this finding and no other."""
        self.assertEqual(self.findings(check), [[where, rule]])


class Style(Tree):
    def style(self, where, rule):
        self.expect(style.check_style, where, rule)

    def test_a_good_tree_has_no_findings(self):
        self.assertEqual(self.findings(style.check_style), [])

    def test_a_tree_without_functions_is_no_success(self):
        for path in GOOD:
            if path.endswith(".c"):
                self.write(path, "")
        self.style("(tree):0", "vacuous")

    def test_a_line_of_101_columns_is_too_long_and_one_of_100_is_not(self):
        self.write("common/base/a.c", "/* " + "x" * 94 + " */\n/* " + "x" * 95 + " */\n")
        self.style("common/base/a.c:2", "line-length")

    def test_columns_are_characters_not_bytes(self):
        self.write("common/base/a.c", "/* " + "派" * 90 + " */\n")
        self.assertEqual(self.findings(style.check_style), [])

    def test_a_file_of_801_lines_is_too_long(self):
        self.write("common/base/a.c", "\n" * 801)
        self.style("common/base/a.c:801", "file-length")

    def test_a_function_of_71_lines_is_too_long_and_one_of_70_is_not(self):
        body = "  one();\n"
        self.write("common/base/a.c", "void f(void) {\n" + body * 69 + "}\n\nvoid g(void) {\n"
                   + body * 68 + "}\n")
        self.assertIn(["common/base/a.c:1", "function-length"], self.findings(style.check_style))
        self.assertNotIn(["common/base/a.c:73", "function-length"],
                         self.findings(style.check_style))

    def test_braces_in_comments_strings_and_macros_do_not_hide_a_function(self):
        text = '#define OPEN {\n/* { */\nvoid f(void) {\n  puts("{ \\" {");\n  put(\'{\');\n}\n'
        functions = style.functions_of(style.code_of(text))
        self.assertEqual([(f.name, f.length()) for f in functions], [("f", 4)])

    def test_initialisers_and_structs_are_no_functions(self):
        text = ("struct s {\n  int a;\n};\nstatic int t[] = {1,\n 2};\n"
                "Test(a, says_so) {\n  x();\n}\n")
        self.assertEqual([f.name for f in style.functions_of(style.code_of(text))], ["Test"])

    def test_long_functions_throughout_break_the_median_and_the_95th_percentile(self):
        for n in range(20):
            self.write("common/base/f%d.c" % n, "void f(void) {\n" + "  one();\n" * 60 + "}\n")
        self.assertEqual(self.findings(style.check_style),
                         [["(tree):0", "function-median"], ["(tree):0", "function-p95"]])

    def test_cores_assert_once_a_function_on_average(self):
        self.write("services/points/points_core.c", "void f(void) {\n}\n")
        self.style("(cores):0", "asserts")

    def test_unfinished_work_is_found_in_any_file(self):
        for number, word in enumerate(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "for "
                                       + "now")):
            self.write("deploy/README.md", "\n" * number + "a " + word + ": later\n")
            self.style("deploy/README.md:%d" % (number + 1), "left-over")

    def test_templates_of_temporary_names_are_no_unfinished_work(self):
        self.write("common/base/a.c", 'char t[] = "/tmp/paidan-XX' + 'XXXX";\n')
        self.assertEqual(self.findings(style.check_style), [])

    def test_paths_of_one_machine_are_found(self):
        self.write("scripts/a.sh", "#!/bin/sh\ncd /wo" + "rk/here\n")
        self.style("scripts/a.sh:2", "machine-path")

    def test_tabs_and_trailing_spaces_are_found(self):
        self.write("common/base/a.c", "int a;\nint b; \n")
        self.style("common/base/a.c:2", "white-space")
        self.write("common/base/a.c", "int a;\n\tint b;\n")
        self.style("common/base/a.c:2", "white-space")

    def test_a_prototype_without_a_comment_is_found(self):
        for text in ("int pd_a(int b);\n", "static inline int pd_a(int b) {\n  return b;\n}\n",
                     "int *pd_a(int b,\n          int c);\n",
                     "enum pd_err pd_a(void) PD_MUST_USE;\n",
                     "_Noreturn void pd_a(const char *what);\n"):
            self.write("common/base/a.h", "/* a - a header. */\n\n" + text)
            self.style("common/base/a.h:3", "prototype")

    def test_a_second_group_needs_its_own_comment(self):
        self.write("common/base/a.h", "/* One. */\nint pd_a(int b);\n\nint pd_c(int d);\n")
        self.style("common/base/a.h:4", "prototype")

    def test_types_members_and_macros_need_no_comment(self):
        self.write("common/base/a.h",
                   "struct s {\n  int (*f)(int a);\n};\n\ntypedef int (*f)(int a);\n\n"
                   "#define A(b) \\\n  f(b)\n\nstruct s;\n\nextern const struct s pd_s;\n")
        self.assertEqual(self.findings(style.check_style), [])

    def test_a_default_in_a_switch_over_kinds_is_found(self):
        for head, case in (("event->body_case", "1"), ("kind", "PD_EVENT_ORDER_PLACED"),
                           ("k", "PD_COMMAND_ANSWER")):
            self.write("common/base/a.c",
                       "void f(void) {\n  switch (%s) {\n    case %s: break;\n    default: break;\n"
                                          "  }\n}\n" % (head, case))
            self.style("common/base/a.c:4", "default")

    def test_a_default_in_another_switch_is_allowed_even_inside_one_over_kinds(self):
        self.write("common/base/a.c",
                   "void f(void) {\n  switch (e->body_case) {\n    case 1:\n"
                   "      switch (c) {\n        default: break;\n      }\n  }\n}\n")
        self.assertEqual(self.findings(style.check_style), [])


class Layers(Tree):
    def layers(self, where):
        self.expect(style.check_layers, where, "layer")

    def test_a_good_tree_has_no_findings(self):
        self.assertEqual(self.findings(style.check_layers), [])

    def test_a_tree_without_cores_is_no_success(self):
        self.write("services/points/CMakeLists.txt", "")
        self.assertIn(["services:0", "vacuous"], self.findings(style.check_layers))

    def planted(self, path, *includes):
        for include in includes:
            self.write(path, "\n#include %s\n" % include)
            self.layers(path + ":2")

    def test_base_stands_on_the_c_library_alone(self):
        self.planted("common/base/a.c", "<uv.h>", "<protobuf-c/protobuf-c.h>",
                     '"common/wire/core.h"', '"pd_names.h"',
                     '"services/points/points_core.h"')

    def test_wire_knows_base_and_the_messages(self):
        self.planted("common/wire/a.c", "<zmq.h>", '"common/flow/a.h"', '"common/io/a.h"')

    def test_flow_is_pure(self):
        self.planted("common/flow/a.c", "<zmq.h>", "<hiredis/hiredis.h>", "<sys/socket.h>",
                     '"common/io/a.h"')

    def test_io_knows_no_service(self):
        self.planted("common/io/a.c", '"services/points/points_core.h"')

    def test_a_core_knows_base_and_the_core_header_alone(self):
        self.write("services/points/CMakeLists.txt",
                   "add_library(points_core points_core.c a.c)\n"
                   "target_link_libraries(points_core PRIVATE pd_core)\n")
        self.planted("services/points/a.c", '"common/wire/entry.h"', '"common/flow/turn.h"',
                     '"common/io/shell.h"',
                     "<unistd.h>", "<time.h>", "<sodium.h>", '"services/matching/grid.h"')

    def test_a_header_that_a_core_includes_is_part_of_the_core(self):
        self.write("services/points/points_core.h",
                   '/* points */\n#include "services/points/more.h"\n')
        self.planted("services/points/more.h", '"common/io/shell.h"')

    def test_the_shell_of_one_service_does_not_include_another(self):
        self.planted("services/points/main.c", '"services/matching/matching_core.h"')

    def test_a_daemon_has_a_core(self):
        self.write("services/intake/main.c", "int main(void) { return 0; }\n")
        self.write("services/intake/CMakeLists.txt", "add_executable(intake main.c)\n")
        self.layers("services/intake/CMakeLists.txt:1")

    def test_the_simulator_never_touches_io(self):
        self.planted("tests/sim/a.c", '"common/io/store.h"')

    def test_programs_never_include_tests(self):
        self.planted("services/points/main.c", '"tests/unit/core_harness.h"')

    def test_an_include_in_a_comment_is_none(self):
        self.write("common/base/a.c", "/*\n#include <uv.h>\n*/\n")
        self.assertEqual(self.findings(style.check_layers), [])


class Symbols(Tree):
    """With real archives, made by the compiler that builds the project."""

    def archive(self, name, text):
        source, archive = os.path.join(self.root, name + ".c"), os.path.join(self.root, "lib%s.a"
                                                                             % name)
        subprocess.run(["gcc", "-O1", "-c", "-w", "-x", "c", "-", "-o", source + ".o"], input=text,
                       text=True, check=True)
        subprocess.run(["ar", "rcs", archive, source + ".o"], check=True)

    def symbols(self, text):
        many = "".join("void f%d(void) {}\n" % n for n in range(60))
        self.archive("pd_base", many + "int pd_say(int what) { return what; }\n")
        self.archive("pd_wire", "void pd_emit(void) {}\n")
        self.archive("points_core", text)
        return self.findings(style.check_symbols, self.root)

    def test_a_pure_core_has_no_findings(self):
        text = ("int pd_say(int); void pd_emit(void);\n"
                "void *memcpy(void *, const void *, unsigned long);\n"
                "static const char *const names[] = {\"a\", \"b\"};\n"
                "const char *g(int i) { return names[i]; }\n"
                "void f(void *a, void *b, int n) {\n"
                "  pd_emit();\n  memcpy(a, b, (unsigned long)pd_say(n));\n}\n")
        self.assertEqual(self.symbols(text), [])

    def test_calls_of_memory_clock_chance_and_output_are_found(self):
        for name in ("malloc", "calloc", "realloc", "free", "time", "clock_gettime",
                     "gettimeofday", "rand", "random",
                     "getrandom", "printf", "fopen", "write", "open", "puts", "getenv", "qsort",
                     "abort", "uv_now"):
            found = self.symbols("void %s(); void f(void) { %s(); }\n" % (name, name))
            self.assertEqual(found, [["libpoints_core.a(points_core.c.o):0", "impure"]], name)

    def test_globals_that_can_be_written_are_found(self):
        for text in ("int counter;", "int counter = 1;",
                     "static int c; int f(void) { return c++; }",
                     "int f(void) { static int c = 5; return c++; }", "const char *name = \"x\";",
                     "static __thread int c; int f(void) { return c++; }"):
            self.assertEqual(self.symbols(text),
                             [["libpoints_core.a(points_core.c.o):0", "global"]], text)

    def test_a_core_that_was_not_built_is_no_success(self):
        self.symbols("")
        os.remove(os.path.join(self.root, "libpoints_core.a"))
        self.assertEqual(self.findings(style.check_symbols, self.root),
                         [["libpoints_core.a:0", "vacuous"]])

    def test_libraries_without_symbols_are_no_success(self):
        self.symbols("")
        self.archive("pd_base", "")
        self.assertEqual([rule for _, rule in self.findings(style.check_symbols, self.root)],
                         ["vacuous"])


if __name__ == "__main__":
    unittest.main()
