;; Default exports of every guest: one block per export, separated by empty lines. The id is a setting of the manifest, so that
;; many plugins can share one component.

(import "jackfield:plugin/settings@0.1.0" "get" (func $setting (param i32 i32 i32)))

(data (i32.const 16) "id")
(data (i32.const 32) "1.0.0")
;; 64: the setting; 80: the answer of get-info; 128: a result that is ok; from 4096 on: what the host passes in.
(global $free (mut i32) (i32.const 4096))

(memory (export "memory") 1)

(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
  (global.set $free (i32.add (local.get $at) (local.get 3)))
  (block $fits
    (loop $grow
      (br_if $fits (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))
      (unreachable)))
  (local.get $at))

(func (export "jackfield:plugin/meta@0.1.0#get-info") (result i32)
  (call $setting (i32.const 16) (i32.const 2) (i32.const 64))
  ;; JSON text: without its quotes.
  (i32.store (i32.const 80) (i32.add (i32.load (i32.const 68)) (i32.const 1)))
  (i32.store (i32.const 84) (i32.sub (i32.load (i32.const 72)) (i32.const 2)))
  (i32.store (i32.const 88) (i32.const 32))
  (i32.store (i32.const 92) (i32.const 5))
  (i32.const 80))

(func (export "jackfield:plugin/lifecycle@0.1.0#activate")
  (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
  (i32.const 128))

(func (export "jackfield:plugin/lifecycle@0.1.0#ready") (result i32)
  (i32.const 128))

(func (export "jackfield:plugin/lifecycle@0.1.0#deactivate"))

(func (export "jackfield:plugin/lifecycle@0.1.0#on-settings-changed") (param i32 i32))

(func (export "jackfield:plugin/lifecycle@0.1.0#on-requirements-changed") (param i32 i32 i32 i32))

(func (export "jackfield:plugin/lifecycle@0.1.0#on-data-changed") (param i32 i32 i32 i32 i32))
