// Where a reader of the time line is: at its end, which he follows, or further up, where nothing may move under his eyes.

import { on } from "../kernel/dom.js";
import { flush, measure, onCleanup, signal } from "../kernel/signals.js";

const NEAR = 48; // pixels from the end that count as the end
const EARLY = 600; // pixels from the beginning at which older messages are asked for

/** Keep a reader's place in `scroller`, whose content is `inner`. `onTop` is called when its beginning comes near. */
export function keepPlace(scroller, inner, onTop) {
  const atEnd = signal(true);
  let last = 0;
  const end = () => {
    scroller.scrollTop = scroller.scrollHeight;
    last = scroller.scrollTop;
  };
  // What grows at the end while the reader is there, pictures too, pushes up before it is painted.
  const grown = new ResizeObserver(() => atEnd.peek() && end());
  grown.observe(inner);
  grown.observe(scroller);
  onCleanup(() => grown.disconnect());
  on(
    scroller,
    "scroll",
    () => {
      // Only who moved up has left the end: it also moves away from him, when what is above it or below turns out higher.
      const near = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
      if (near || scroller.scrollTop < last) atEnd.value = near;
      last = scroller.scrollTop;
      if (scroller.scrollTop < EARLY) onTop();
    },
    { passive: true },
  );
  return {
    atEnd,
    /** Go to the end and stay there. */
    toEnd() {
      atEnd.value = true;
      measure(end);
    },
    /** Bring an element into the middle. */
    to(element) {
      atEnd.value = false;
      element.scrollIntoView({ block: "center" });
    },
    /** Add to what is above: what is read now stays where it is, in the same frame. */
    around(add) {
      const top = scroller.getBoundingClientRect().top;
      const first = [...inner.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().bottom > top);
      const before = first?.getBoundingClientRect().top;
      add();
      flush();
      if (first?.isConnected && !atEnd.peek()) scroller.scrollTop += first.getBoundingClientRect().top - before;
    },
  };
}
