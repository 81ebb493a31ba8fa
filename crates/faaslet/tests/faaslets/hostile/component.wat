(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-t))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $p (sub resource)))
    (export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable-t))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-t (type $e))
    (alias outer 1 $pollable-t (type $p))
    (export "input-stream" (type $in (sub resource)))
    (export "output-stream" (type $out (sub resource)))
    (type $stream-error-v (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-v)))
    (export "[method]input-stream.skip"
      (func (param "self" (borrow $in)) (param "len" u64) (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.check-write"
      (func (param "self" (borrow $out)) (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.write"
      (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $stream-error)))))
    (export "[method]output-stream.write-zeroes"
      (func (param "self" (borrow $out)) (param "len" u64) (result (result (error $stream-error)))))))
  (alias export $streams "input-stream" (type $in-t))
  (alias export $streams "output-stream" (type $out-t))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable-t (type $p))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $out-t (type $out)) (export "get-stdout" (func (result (own $out))))))
  (import "wasi:filesystem/types@0.2.0" (instance $files
    (alias outer 1 $in-t (type $in))
    (export "descriptor" (type $fd (sub resource)))
    (export "directory-entry-stream" (type $entries (sub resource)))
    (type $error-code-v (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop"
      "too-many-links" "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory"
      "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device"
      "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $error-code-v)))
    (type $descriptor-type-v (enum "unknown" "block-device" "character-device" "directory" "fifo" "symbolic-link"
      "regular-file" "socket"))
    (export "descriptor-type" (type $descriptor-type (eq $descriptor-type-v)))
    (type $directory-entry-v (record (field "type" $descriptor-type) (field "name" string)))
    (export "directory-entry" (type $directory-entry (eq $directory-entry-v)))
    (export "[method]descriptor.set-size" (func (param "self" (borrow $fd)) (param "size" u64)
      (result (result (error $error-code)))))
    (export "[method]descriptor.read-directory" (func (param "self" (borrow $fd))
      (result (result (own $entries) (error $error-code)))))
    (export "[method]directory-entry-stream.read-directory-entry" (func (param "self" (borrow $entries))
      (result (result (option $directory-entry) (error $error-code)))))))
  (alias export $files "descriptor" (type $fd-t))
  (alias export $files "directory-entry-stream" (type $entries-t))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $fd-t (type $fd))
    (export "get-directories" (func (result (list (tuple (own $fd) string)))))))
  (import "wasi:http/types@0.2.0" (instance $http
    (alias outer 1 $out-t (type $out))
    (export "fields" (type $fields (sub resource)))
    (export "outgoing-response" (type $response (sub resource)))
    (export "outgoing-body" (type $body (sub resource)))
    (type $header-error-v (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $header-error (eq $header-error-v)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string)
      (param "value" (list u8)) (result (result (error $header-error)))))
    (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $response)) (result (result (own $body)))))
    (export "[method]outgoing-body.write"
      (func (param "self" (borrow $body)) (result (result (own $out)))))))

  ;; Answers of calls lie at 4096, what they hold from 8192 on; what is longer than a page at 1 MiB. At 16: whether `realloc` ever ends.
  (core module $memory
    (memory (export "memory") (;pages;))
    (global $free (mut i32) (i32.const 8192))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (loop $l (br_if $l (i32.load (i32.const 16))))
      (if (i32.gt_u (local.get 3) (i32.const 4096)) (then (return (i32.const 0x100000))))
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (if (i32.gt_u (i32.add (local.get $at) (local.get 3)) (i32.const 65536))
        (then (local.set $at (i32.const 8192))))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $m))
  (alias core export $memory "realloc" (core func $realloc))

  (core func $poll (canon lower (func $poll "poll") (memory $m) (realloc $realloc)))
  (core func $skip (canon lower (func $streams "[method]input-stream.skip") (memory $m)))
  (core func $check-write (canon lower (func $streams "[method]output-stream.check-write") (memory $m)))
  (core func $write (canon lower (func $streams "[method]output-stream.write") (memory $m)))
  (core func $write-zeroes (canon lower (func $streams "[method]output-stream.write-zeroes") (memory $m)))
  (core func $drop-error (canon resource.drop $error-t))
  (core func $after (canon lower (func $clock "subscribe-duration")))
  (core func $random (canon lower (func $random "get-random-bytes") (memory $m) (realloc $realloc)))
  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core func $set-size (canon lower (func $files "[method]descriptor.set-size") (memory $m)))
  (core func $list (canon lower (func $files "[method]descriptor.read-directory") (memory $m)))
  (core func $entry (canon lower (func $files "[method]directory-entry-stream.read-directory-entry") (memory $m) (realloc $realloc)))
  (core func $drop-entries (canon resource.drop $entries-t))
  (core func $dirs (canon lower (func $preopens "get-directories") (memory $m) (realloc $realloc)))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $append (canon lower (func $http "[method]fields.append") (memory $m)))
  (core func $response (canon lower (func $http "[constructor]outgoing-response")))
  (core func $body (canon lower (func $http "[method]outgoing-response.body") (memory $m)))
  (core func $body-stream (canon lower (func $http "[method]outgoing-body.write") (memory $m)))

  (core module $program
    (import "m" "memory" (memory 1))
    (import "h" "poll" (func $poll (param i32 i32 i32)))
    (import "h" "check-write" (func $check-write (param i32 i32)))
    (import "h" "write" (func $write (param i32 i32 i32 i32)))
    (import "h" "write-zeroes" (func $write-zeroes (param i32 i64 i32)))
    (import "h" "drop-error" (func $drop-error (param i32)))
    (import "h" "after" (func $after (param i64) (result i32)))
    (import "h" "random" (func $random (param i64 i32)))
    (import "h" "stdout" (func $stdout (result i32)))
    (import "h" "list" (func $list (param i32 i32)))
    (import "h" "entry" (func $entry (param i32 i32)))
    (import "h" "drop-entries" (func $drop-entries (param i32)))
    (import "h" "dirs" (func $dirs (param i32)))
    (import "h" "fields" (func $fields (result i32)))
    (import "h" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "h" "response" (func $response (param i32) (result i32)))
    (import "h" "body" (func $body (param i32 i32)))
    (import "h" "body-stream" (func $body-stream (param i32 i32)))
    ;; What a call that cannot fail here has answered at 4096: a handle.
    (func $handle (result i32)
      (if (i32.load8_u (i32.const 4096)) (then unreachable))
      (i32.load (i32.const 4100)))
    ;; Writes as much as may be written, if anything may.
    (func $put (param $out i32) (local $room i32)
      (call $check-write (local.get $out) (i32.const 4096))
      (if (i32.load8_u (i32.const 4096)) (then unreachable))
      (local.set $room (i32.load (i32.const 4104)))
      (if (local.get $room) (then
        (call $write (local.get $out) (i32.const 65536) (local.get $room) (i32.const 4096)))))
    ;; The first directory that was granted.
    (func $dir (result i32) (call $dirs (i32.const 4096)) (i32.load (i32.load (i32.const 4096))))
    ;; A body of an answer that nobody reads: its stream.
    (func $unread (result i32)
      (call $body (call $response (call $fields)) (i32.const 4096))
      (call $body-stream (call $handle) (i32.const 4096))
      (call $handle))
    ;; As many fields as fit, each of a name of its own.
    (func $many-fields (local $fields i32) (local $n i32)
      (local.set $fields (call $fields))
      (loop $more
        (i32.store (i32.const 4200) (i32.const 0x61616161))
        (i32.store8 (i32.const 4200) (i32.add (i32.const 97) (i32.rem_u (local.get $n) (i32.const 26))))
        (i32.store8 (i32.const 4201) (i32.add (i32.const 97) (i32.rem_u (i32.div_u (local.get $n) (i32.const 26)) (i32.const 26))))
        (i32.store8 (i32.const 4202) (i32.add (i32.const 97) (i32.div_u (local.get $n) (i32.const 676))))
        (call $append (local.get $fields) (i32.const 4200) (i32.const 4) (i32.const 4200) (i32.const 0) (i32.const 4096))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $more (i32.and (i32.eqz (i32.load8_u (i32.const 4096))) (i32.lt_u (local.get $n) (i32.const 200))))))
    (;fields;)
    (func (export "run") (result i32) (local $a i32) (local $b i32)
      (;body;)
      (i32.const 0)))
  (core instance $program (instantiate $program
    (with "m" (instance $memory))
    (with "h" (instance
      (export "poll" (func $poll)) (export "check-write" (func $check-write)) (export "write" (func $write))
      (export "write-zeroes" (func $write-zeroes)) (export "drop-error" (func $drop-error)) (export "after" (func $after)) (export "random" (func $random))
      (export "stdout" (func $stdout)) (export "list" (func $list)) (export "entry" (func $entry))
      (export "drop-entries" (func $drop-entries)) (export "dirs" (func $dirs)) (export "fields" (func $fields))
      (export "append" (func $append)) (export "response" (func $response)) (export "body" (func $body))
      (export "body-stream" (func $body-stream))))))
  (func $run (result (result)) (canon lift (core func $program "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exported)))
