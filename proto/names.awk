# Reads the generated *.pb-c.h files and the .proto of events; writes pd_names.h: the short names under which C code of
# this project uses the generated types.
#   Paidan__V1__OrderPlaced                      -> struct pd_order_placed, PD_ORDER_PLACED_INIT, pd_order_placed_descriptor
#   enum _Paidan__V1__Reason, ..._REASON_SKILL   -> enum pd_reason, PD_REASON_SKILL
#   PAIDAN__V1__EVENT__BODY_ORDER_PLACED         -> PD_EVENT_ORDER_PLACED
function snake(name,   i, c, out) {
  out = ""
  for (i = 1; i <= length(name); i++) {
    c = substr(name, i, 1)
    if (c ~ /[A-Z]/ && i > 1) out = out "_"
    out = out tolower(c)
  }
  return out
}
BEGIN {
  print "/* Generated from the .proto files by proto/names.awk: short names for the generated types. */"
  print "#ifndef PD_NAMES_H\n#define PD_NAMES_H"
  print "#include \"paidan/v1/command.pb-c.h\"\n#include \"paidan/v1/edge.pb-c.h\"\n#include \"paidan/v1/entry.pb-c.h\"\n#include \"paidan/v1/event.pb-c.h\""
  print "#include \"paidan/v1/types.pb-c.h\"\n"
}
/^typedef enum _Paidan__V1__/ {
  name = $3; sub(/^_Paidan__V1__/, "", name)
  print "#define pd_" snake(name) " _Paidan__V1__" name
}
/^typedef struct Paidan__V1__/ {
  name = $3; sub(/^Paidan__V1__/, "", name)
  print "#define pd_" snake(name) " Paidan__V1__" name
  print "#define PD_" toupper(snake(name)) "_INIT PAIDAN__V1__" toupper(snake(name)) "__INIT"
  print "#define pd_" snake(name) "_descriptor paidan__v1__" snake(name) "__descriptor"
}
/^  PAIDAN__V1__[A-Z0-9_]+ = / {
  full = $1; short = full
  if (full ~ /__(BODY|RESULT|ITEM)_/) {
    sub(/^PAIDAN__V1__/, "", short); sub(/__(BODY|RESULT|ITEM)__?/, "_", short)
  } else {
    sub(/^PAIDAN__V1__.*__/, "", short)
  }
  print "#define PD_" short " " full
}
/PROTOBUF_C__FORCE_ENUM_TO_BE_INT_SIZE\(PAIDAN__V1__[A-Z]+__(BODY|RESULT|ITEM)__CASE\)/ {
  match($0, /PAIDAN__V1__[A-Z]+/); name = substr($0, RSTART + 12, RLENGTH - 12)
  full = $0; sub(/^.*\(/, "_", full); sub(/\).*$/, "_IS_INT_SIZE", full)
  print "#define PD_" name "_CASE_SIZE " full
}
/^} Paidan__V1__[A-Za-z]+__[A-Za-z]+Case;/ {
  name = $2; sub(/^Paidan__V1__/, "", name); sub(/;$/, "", name); short = name; sub(/__.*/, "", short)
  print "typedef Paidan__V1__" name " pd_" snake(short) "_kind;"
}
/^struct  Paidan__V1__Event$/ { event = 1 }
event && /^    Paidan__V1__/ {
  type = $1; member = $2; sub(/^\*/, "", member); sub(/;$/, "", member)
  emit[member] = type
}
/^};/ { event = 0 }
END {
  print "\nstruct pd_outbox;\nvoid pd_emit(struct pd_outbox *out, struct pd_event *event);\n"
  print "/* pd_emit_X(out, body): say event X; see pd_emit in common/wire/core.h. */"
  for (member in emit) {
    print "static inline void pd_emit_" member "(struct pd_outbox *out, struct pd_" member " *body) {"
    print "  struct pd_event event = PD_EVENT_INIT;"
    print "  event.body_case = PD_EVENT_" toupper(member) ";"
    print "  event." member " = body;"
    print "  pd_emit(out, &event);\n}"
  }
  print "\n#endif"
}
