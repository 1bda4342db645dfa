/** A picture is made larger and moved: by wheel, double click, two fingers, keys. What is shown at its
 * own size is swiped to the next one. */

const MOST = 8;
/** By a double click, and by a key. */
const CLOSE_UP = 2.5;
const STEP = 1.4;
const SWIPE_PX = 60;

/** Where a picture stands after it was made `factor` times larger round a point, {scale, x, y}; never
 * smaller than it fits. Pure. `point`: from the middle of the stage. */
export function zoomed({ scale, x, y }, factor, point = { x: 0, y: 0 }) {
  const next = Math.min(MOST, Math.max(1, scale * factor));
  const grown = next / scale;
  return { scale: next, x: point.x - (point.x - x) * grown, y: point.y - (point.y - y) * grown };
}

/** The same moved back, so that no more than its edge leaves the stage's. Pure. `size`, `stage`: {width,
 * height} of the picture as it fits, and of what it is shown in. */
export function held({ scale, x, y }, size, stage) {
  const room = (of, inside) => Math.max(0, (of * scale - inside) / 2);
  const within = (value, most) => Math.max(-most, Math.min(most, value));
  return {
    scale,
    x: within(x, room(size.width, stage.width)),
    y: within(y, room(size.height, stage.height)),
  };
}

export class Zoom {
  #stage;
  #onSwipe;
  #node = null;
  #at = { scale: 1, x: 0, y: 0 };
  #pointers = new Map(); // pointerId → {x, y}
  #swipe = null; // where the one finger began, at the picture's own size

  /** `stage`: where pictures are shown; onSwipe(step): -1 for the one before, 1 for the next. */
  constructor(stage, { onSwipe }) {
    this.#stage = stage;
    this.#onSwipe = onSwipe;
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("dblclick", (event) => this.#doubleClick(event));
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) stage.addEventListener(type, (event) => this.#up(event));
  }

  get scale() {
    return this.#at.scale;
  }

  /** Another picture is shown, as it fits; null: none that can be made larger. */
  take(node) {
    this.#node = node;
    this.#pointers.clear();
    this.reset();
  }

  reset() {
    this.#show({ scale: 1, x: 0, y: 0 });
  }

  larger() {
    this.#show(zoomed(this.#at, STEP));
  }

  smaller() {
    this.#show(zoomed(this.#at, 1 / STEP));
  }

  #wheel(event) {
    if (!this.#node) return;
    event.preventDefault();
    const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.002));
    this.#show(zoomed(this.#at, factor, this.#point(event)));
  }

  #doubleClick(event) {
    if (!this.#node) return; // where the pointer is captured the stage is told of, not the picture
    const factor = this.scale > 1 ? 1 / this.scale : CLOSE_UP;
    this.#show(zoomed(this.#at, factor, this.#point(event)));
  }

  #down(event) {
    if (event.button !== 0 || event.target.closest("button, video")) return;
    this.#pointers.set(event.pointerId, this.#point(event));
    this.#swipe = this.#pointers.size === 1 && this.scale === 1 && event.pointerType !== "mouse" ? this.#point(event) : null;
    if (this.#node && this.scale > 1) this.#stage.setPointerCapture(event.pointerId);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#point(event);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, now);
    if (!this.#node) return;
    if (other) {
      const apart = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      this.#show(zoomed(this.#at, apart(now) / apart(before), middle));
    } else if (this.scale > 1) {
      const { scale, x, y } = this.#at;
      this.#show({ scale, x: x + now.x - before.x, y: y + now.y - before.y });
    }
  }

  #up(event) {
    const end = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    const begin = this.#swipe;
    this.#swipe = null;
    if (!begin || !end || event.type === "pointercancel" || this.scale > 1) return;
    const [dx, dy] = [end.x - begin.x, end.y - begin.y];
    if (Math.abs(dx) > SWIPE_PX && Math.abs(dx) > 2 * Math.abs(dy)) this.#onSwipe(dx > 0 ? -1 : 1);
  }

  /** From the middle of the stage. */
  #point({ clientX, clientY }) {
    const { left, top, width, height } = this.#stage.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
  }

  #show(at) {
    if (!this.#node) {
      this.#at = { scale: 1, x: 0, y: 0 };
      return;
    }
    const { offsetWidth: width, offsetHeight: height } = this.#node;
    const { clientWidth, clientHeight } = this.#stage;
    this.#at = held(at, { width, height }, { width: clientWidth, height: clientHeight });
    const { scale, x, y } = this.#at;
    this.#node.style.transform = scale === 1 ? "" : `translate(${x}px, ${y}px) scale(${scale})`;
    this.#stage.classList.toggle("zoomed", scale > 1);
  }
}
