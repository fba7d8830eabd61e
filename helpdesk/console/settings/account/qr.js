// A QR code for an authenticator, drawn here: the secret within goes to nobody else. By ISO/IEC 18004: bytes, error
// correction L, versions 1 to 9, the mask of a chessboard.

import { s } from "../../kernel/dom.js";

// Of each version: data codewords of a block, correction codewords of a block, blocks.
const SIZES = [
  [19, 7, 1], [34, 10, 1], [55, 15, 1], [80, 20, 1], [108, 26, 1], [68, 18, 2], [78, 20, 2], [97, 24, 2], [116, 30, 2],
]; // prettier-ignore
const FORMAT = 0b01_000; // level L, mask 0

// The field of 256 elements that the correction is computed in.
const [EXP, LOG] = [new Uint8Array(512), new Uint8Array(256)];
for (let at = 0, value = 1; at < 255; at += 1) {
  EXP[at] = EXP[at + 255] = value;
  LOG[value] = at;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}
const times = (one, other) => (one && other ? EXP[LOG[one] + LOG[other]] : 0);

/** The remainder of a block by the generator of this degree. */
function correction(block, degree) {
  let generator = [1];
  for (let at = 0; at < degree; at += 1)
    generator = [...generator, 0].map((one, index) => one ^ times(generator[index - 1] ?? 0, EXP[at]));
  const rest = [...block, ...Array(degree).fill(0)];
  block.forEach((_, at) => {
    const factor = rest[at];
    generator.forEach((one, index) => (rest[at + index] ^= times(one, factor)));
  });
  return rest.slice(block.length);
}

/** A number with the bits that correct it behind it. */
function checked(value, generator, length) {
  let rest = value << length;
  const degree = 31 - Math.clz32(generator);
  while (rest && 31 - Math.clz32(rest) >= degree) rest ^= generator << (31 - Math.clz32(rest) - degree);
  return (value << length) | rest;
}

/** All codewords in the order in which they are placed. */
function codewords(bytes, [data, degree, blocks]) {
  const bits = [0, 1, 0, 0, ...binary(bytes.length, 8), ...[...bytes].flatMap((one) => binary(one, 8)), 0, 0, 0, 0];
  const words = [];
  for (let at = 0; at + 8 <= bits.length; at += 8) words.push(parseInt(bits.slice(at, at + 8).join(""), 2));
  for (let pad = 0xec; words.length < data * blocks; pad ^= 0xec ^ 0x11) words.push(pad);
  const parts = Array.from({ length: blocks }, (_, at) => words.slice(at * data, (at + 1) * data));
  const woven = (lists) => lists[0].flatMap((_, at) => lists.map((list) => list[at]));
  return [...woven(parts), ...woven(parts.map((one) => correction(one, degree)))];
}

const binary = (value, length) => Array.from({ length }, (_, at) => (value >> (length - 1 - at)) & 1);

/** The modules as rows of 0 and 1; null where the text is too long. */
export function modules(text) {
  const bytes = new TextEncoder().encode(text);
  const version = SIZES.findIndex(([data, , blocks]) => bytes.length + 2 <= data * blocks) + 1;
  if (!version) return null;
  const size = version * 4 + 17;
  const grid = Array.from({ length: size }, () => Array(size).fill(null));
  patterns(grid, size, version);
  const bits = codewords(bytes, SIZES[version - 1]).flatMap((one) => binary(one, 8));
  let next = 0;
  // Pairs of columns from the right, up and down in turn, past the column of the timing pattern.
  for (let right = size - 1, up = true; right > 0; right -= right === 8 ? 3 : 2, up = !up) {
    for (let step = 0; step < size * 2; step += 1) {
      const y = up ? size - 1 - (step >> 1) : step >> 1;
      const x = right - (step & 1);
      if (grid[y][x] === null) grid[y][x] = (bits[next++] ?? 0) ^ ((x + y) % 2 === 0 ? 1 : 0);
    }
  }
  return grid;
}

function patterns(grid, size, version) {
  const put = (x, y, value) => y >= 0 && x >= 0 && y < size && x < size && (grid[y][x] = Number(value));
  const rings = (cx, cy, radius, dark) => {
    for (let dy = -radius; dy <= radius; dy += 1)
      for (let dx = -radius; dx <= radius; dx += 1) put(cx + dx, cy + dy, dark(Math.max(Math.abs(dx), Math.abs(dy))));
  };
  for (let at = 8; at < size - 8; at += 1) (put(6, at, at % 2 === 0), put(at, 6, at % 2 === 0));
  // prettier-ignore
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) rings(x, y, 4, (ring) => ring !== 2 && ring !== 4);
  const middle = version > 6 ? [6, 8 + version * 2, size - 7] : [6, size - 7];
  // Three of the corners have larger ones already.
  const alone = (x, y) => (x !== 6 && y !== 6) || (middle.length === 3 && (x === middle[1] || y === middle[1]));
  if (version > 1)
    for (const x of middle) for (const y of middle) if (alone(x, y)) rings(x, y, 2, (ring) => ring !== 1);
  const format = checked(FORMAT, 0x537, 10) ^ 0x5412;
  for (let at = 0; at < 15; at += 1) {
    const bit = (format >> at) & 1;
    put(8, at < 6 ? at : at < 8 ? at + 1 : size - 15 + at, bit);
    put(at < 8 ? size - 1 - at : at < 9 ? 7 : 14 - at, 8, bit);
  }
  put(8, size - 8, 1);
  if (version < 7) return;
  const info = checked(version, 0x1f25, 12);
  for (let at = 0; at < 18; at += 1) {
    const [far, near] = [size - 11 + (at % 3), Math.floor(at / 3)];
    put(far, near, (info >> at) & 1);
    put(near, far, (info >> at) & 1);
  }
}

/** The drawing; null where the text is too long for one. */
export function drawn(text, label) {
  const grid = modules(text);
  if (!grid) return null;
  const d = grid.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return s(
    "svg",
    { class: "account-qr", viewBox: `-4 -4 ${grid.length + 8} ${grid.length + 8}`, role: "img", "aria-label": label },
    s("path", { d }),
  );
}
