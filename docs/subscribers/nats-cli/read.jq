# Turns messages as `nats sub --dump` writes them into lines, and the state (the last ordinal of each workflow) into the
# next one. Prints each line, and at last the state. No message may stop it: what it cannot read becomes a line.
def known:
  test("^io\\.kubernaut\\.(workflow\\.(planned|validated|approved|rejected|started|paused|resumed|completed|failed"
    + "|cancelled|rolled_back|deleted)|step\\.(ready|started|completed|failed|retrying|skipped|cancelled|rolled_back))\\.v1$");

# Value of a CloudEvents attribute. Ids, types and sources hold nothing that is percent-encoded in a header.
def attribute($name): .Header[$name][0] // "";

def ordinal: .Header["ce-ordinal"][0] // "" | if test("^[0-9]+$") then tonumber else null end;
def sequence: .Reply | split(".") | if length == 9 then .[5] else .[7] end | tonumber;

def read:
  . as $message | sequence as $sequence | attribute("ce-id") as $id | attribute("ce-type") as $type
  | if $id == "" or $type == "" or attribute("ce-source") == "" or attribute("ce-specversion") != "1.0"
    then {kind: "unreadable", error: "not a CloudEvent in binary mode", sequence: $sequence}
    elif ($type | known | not) then {kind: "unknown", id: $id, type: $type, sequence: $sequence}
    else [try (.Data | @base64d | fromjson | .workflow.uid | strings) catch empty][0] as $uid
      | if $uid == null or ordinal == null
        then {kind: "unreadable", error: "the data is not that of an event", sequence: $sequence}
        else {kind: "event", id: $id, type: $type, ordinal: ordinal, workflowUid: $uid, sequence: $sequence} end
    end;

# What is to be done about a message: nothing when it is a repeat, a gap first when something is missing.
def take($state):
  . as $message | read as $found | ordinal as $ordinal | (.Subject | split(".")) as $tokens
  | if $ordinal == null or ($tokens | length) != 6 then {state: $state, lines: [$found]}
    else $tokens[3] as $uid | $state[$uid] as $last
      | if $last != null and $ordinal <= $last then {state: $state, lines: []}
        else (($last // -1) + 1) as $expected
          | {state: ($state + {($uid): $ordinal}),
             lines: ((if $ordinal > $expected
                      then [{kind: "gap", workflowUid: $uid, first: $expected, last: ($ordinal - 1)}] else [] end)
                     + [$found])}
        end
    end;

foreach (inputs, null) as $message ({state: $state[0], lines: []};
  if $message == null then {state: .state, lines: [{state: .state}]} else .state as $before | $message | take($before) end;
  .lines[])
