#!/bin/sh
# run.sh REPORTS PROGRAM [ARGUMENT…]: run a test program under the sanitizers, and fail if any of
# its processes left a report.  A leak does not fail a Criterion test by itself, and what a child
# process prints may be lost: hence the files.  REPORTS is the beginning of the report files' names;
# the sanitizers add a dot and the process id.
reports=$1
shift
rm -f "$reports".*
export ASAN_OPTIONS="log_path=$reports:detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="log_path=$reports:print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
"$@"
status=$?
for report in "$reports".*; do
  [ -e "$report" ] || continue
  echo "sanitizer report $report:"
  cat "$report"
  status=1
done
exit $status
