// State that is read where it is used. Whoever reads `.value` inside an effect or a computed is run again when it
// changes; effects of one frame run together, so that fifty events a second cost one update of the page and not fifty.

let reader = null; // the effect or computed that reads just now
let owner = null; // the scope that what is made just now ends with
let batching = 0;
let frame = 0;
const waiting = new Set();
const measures = [];
const MOST_MS = 8; // of one frame; what is left over goes on in the next one

class Signal {
  #value;
  readers = new Set();
  version = 0;
  constructor(value) {
    this.#value = value;
  }
  get value() {
    reader?.reads(this);
    return this.#value;
  }
  set value(next) {
    if (Object.is(next, this.#value)) return;
    this.#value = next;
    this.version += 1;
    for (const one of [...this.readers]) one.changed(true);
  }
  /** The value, without being told of its changes. */
  peek() {
    return this.#value;
  }
  update(change) {
    this.value = change(this.#value);
  }
}

class Reader {
  #seen = new Map(); // what was read, each as of which version
  reads(source) {
    if (this.#seen.has(source)) return;
    source.readers.add(this);
    this.#seen.set(source, source.version);
  }
  forget() {
    for (const source of this.#seen.keys()) source.readers.delete(this);
    this.#seen.clear();
  }
  /** Whether anything that was read is another now. A computed may have been told of a change and come out the same. */
  outdated() {
    for (const [source, version] of this.#seen) {
      source.refresh?.();
      if (source.version !== version) return true;
    }
    return false;
  }
  /** Run as the one that reads. What was read last time counts no longer. */
  follow(work) {
    this.forget();
    const [before, above] = [reader, owner];
    reader = this;
    owner = this.inside ?? owner;
    try {
      return work();
    } finally {
      reader = before;
      owner = above;
    }
  }
}

const [CLEAN, UNSURE, STALE] = [0, 1, 2];

class Computed extends Reader {
  #work;
  #value;
  #state = STALE;
  readers = new Set();
  version = 0;
  constructor(work) {
    super();
    this.#work = work;
    // Else what it read, which may live as long as the page, would keep it.
    owner?.add(() => {
      this.forget();
      this.#state = STALE;
    });
  }
  get value() {
    this.refresh();
    reader?.reads(this);
    return this.#value;
  }
  peek() {
    this.refresh();
    return this.#value;
  }
  refresh() {
    if (this.#state === UNSURE && !this.outdated()) this.#state = CLEAN;
    if (this.#state === CLEAN) return;
    this.#state = CLEAN;
    const next = this.follow(this.#work);
    if (Object.is(next, this.#value)) return;
    this.#value = next;
    this.version += 1;
  }
  changed(sure) {
    const before = this.#state;
    this.#state = Math.max(before, sure ? STALE : UNSURE);
    if (before === CLEAN) for (const one of [...this.readers]) one.changed(false);
  }
}

class Effect extends Reader {
  #work;
  #ended = false;
  #sure = true;
  inside = new Scope();
  constructor(work) {
    super();
    this.#work = work;
  }
  changed(sure) {
    if (this.#ended) return;
    this.#sure ||= sure;
    waiting.add(this);
    if (!batching) plan();
  }
  run() {
    if (this.#ended || !(this.#sure || this.outdated())) return;
    this.#sure = false;
    this.inside.end();
    const cleanup = this.follow(this.#work);
    if (typeof cleanup === "function") this.inside.add(cleanup);
  }
  end() {
    this.#ended = true;
    waiting.delete(this);
    this.forget();
    this.inside.end();
  }
}

class Scope {
  #ends = [];
  add(end) {
    this.#ends.push(end);
  }
  end() {
    const ends = this.#ends;
    this.#ends = [];
    for (const end of ends.reverse()) end();
  }
}

function plan() {
  if (frame) return;
  // A hidden page has no frames, and must not fall behind for it.
  frame = document.hidden ? setTimeout(run, 100) : requestAnimationFrame(run);
}

function run() {
  frame = 0;
  for (const look of measures.splice(0)) look();
  const until = performance.now() + MOST_MS;
  for (const one of waiting) {
    waiting.delete(one);
    guarded(one);
    if (performance.now() > until) break;
  }
  if (waiting.size) plan();
}

/** One effect that fails must not take the others of its frame with it. */
function guarded(one) {
  try {
    one.run();
  } catch (error) {
    reportError(error);
  }
}

document.addEventListener("visibilitychange", () => {
  if (!frame) return;
  cancelAnimationFrame(frame);
  clearTimeout(frame);
  frame = 0;
  plan();
});

export const signal = (value) => new Signal(value);
export const computed = (work) => new Computed(work);
export const isSignal = (one) => one instanceof Signal || one instanceof Computed;

/** Runs now, and again when what it read has changed. What it answers, if a function, runs before that and at the end. */
export function effect(work) {
  const made = new Effect(work);
  owner?.add(() => made.end());
  made.run();
  return () => made.end();
}

/** Several changes, told of as one. */
export function batch(work) {
  batching += 1;
  try {
    return work();
  } finally {
    batching -= 1;
    if (!batching && waiting.size) plan();
  }
}

export function untracked(work) {
  const before = reader;
  reader = null;
  try {
    return work();
  } finally {
    reader = before;
  }
}

/** Runs when what is being made ends: an effect runs again, a view is left. */
export function onCleanup(end) {
  owner?.add(end);
}

/** Run, and keep all that it began; `dispose` ends that. A scope within a scope ends with it. */
export function scope(work) {
  const made = new Scope();
  const [before, above] = [reader, owner];
  above?.add(() => made.end());
  reader = null;
  owner = made;
  try {
    return { value: work(), dispose: () => made.end() };
  } finally {
    reader = before;
    owner = above;
  }
}

/** A scope that hangs on no other: whoever made it ends it. */
scope.apart = (work) => {
  const above = owner;
  owner = null;
  try {
    return scope(work);
  } finally {
    owner = above;
  }
};

/** Look at the layout before anything of the next frame changes it. */
export function measure(look) {
  measures.push(look);
  plan();
}

/** Run what waits now, all of it: before focus goes to what an effect makes, and in tests. */
export function flush() {
  for (let round = 0; waiting.size && round < 100; round += 1) {
    for (const one of [...waiting]) {
      waiting.delete(one);
      guarded(one);
    }
  }
}

/** Whether nothing waits for the next frame. */
export const settled = () => !waiting.size && !measures.length;
