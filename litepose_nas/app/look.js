// What a network is shown of an image, and where its joints are in it: as look.py has it.
// A map is [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f; pixel i covers i to i + 1.

const HALF = 0.5;
const PADDING = 1.25; // how much more than a person's box is shown
const AROUND = 1.3; // how much larger than the extent of its joints a person's box is
const FEWEST = 3; // joints: with less there is no telling where a person is
const DOUBLE = 0.5; // overlap of two boxes above which they are one person's

export function whole([height, width], [rows, columns]) {
  const zoom = Math.min(rows / height, columns / width);
  return [zoom, 0, (columns - zoom * width) / 2, 0, zoom, (rows - zoom * height) / 2];
}

export function cutOut([left, top, width, height], [rows, columns]) {
  const zoom = 1 / (Math.max(width / columns, height / rows) * PADDING);
  return [zoom, 0, columns / 2 - zoom * (left + width / 2), 0, zoom, rows / 2 - zoom * (top + height / 2)];
}

// The bytes (rows, columns, 3) that the input shows of an ImageData; beyond its edge there is the border's colour.
export function shown(image, warp, [rows, columns], border) {
  const shrink = Math.trunc(1 / Math.sqrt(Math.abs(warp[0] * warp[4] - warp[1] * warp[3])));
  let { data, width, height } = image;
  let step = 4;
  if (shrink > 1) {
    const small = [Math.max(Math.floor(height / shrink), 1), Math.max(Math.floor(width / shrink), 1)];
    const block = [Math.min(shrink, height), Math.min(shrink, width)];
    data = blocks(image, small, block);
    const across = (small[1] * block[1]) / small[1], down = (small[0] * block[0]) / small[0];
    warp = [warp[0] * across, warp[1] * down, warp[2], warp[3] * across, warp[4] * down, warp[5]];
    [height, width] = small;
    step = 3;
  }
  const [a, b, c, d, e, f] = warp;
  const det = a * e - b * d;
  const bytes = new Uint8Array(rows * columns * 3);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const u = column + HALF - c, v = row + HALF - f;
      const x = (e * u - b * v) / det - HALF, y = (a * v - d * u) / det - HALF;
      const left = Math.floor(x), top = Math.floor(y), right = x - left, below = y - top;
      const at = 3 * (row * columns + column);
      for (let colour = 0; colour < 3; colour++) {
        const tap = (px, py) => (px < 0 || py < 0 || px >= width || py >= height ? border[colour] : data[step * (py * width + px) + colour]);
        const upper = tap(left, top) * (1 - right) + tap(left + 1, top) * right;
        const lower = tap(left, top + 1) * (1 - right) + tap(left + 1, top + 1) * right;
        bytes[at + colour] = Math.round(upper * (1 - below) + lower * below);
      }
    }
  }
  return bytes;
}

// The means of whole blocks, or thin limbs would flicker.
function blocks({ data, width }, [rows, columns], [high, wide]) {
  const means = new Uint8Array(rows * columns * 3);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let red = 0, green = 0, blue = 0;
      for (let y = row * high; y < (row + 1) * high; y++) {
        for (let at = 4 * (y * width + column * wide), end = at + 4 * wide; at < end; at += 4) {
          red += data[at];
          green += data[at + 1];
          blue += data[at + 2];
        }
      }
      const at = 3 * (row * columns + column), count = high * wide;
      means[at] = Math.round(red / count);
      means[at + 1] = Math.round(green / count);
      means[at + 2] = Math.round(blue / count);
    }
  }
  return means;
}

// Joints [x, y, value] of the input in pixels of the image, the middle of the first being 0, 0.
export function inPicture(keypoints, [a, b, c, d, e, f]) {
  const det = a * e - b * d;
  return keypoints.map(([x, y, value]) => (value === 0 ? [0, 0, 0]
    : [(e * (x - c) - b * (y - f)) / det - HALF, (a * (y - f) - d * (x - c)) / det - HALF, value]));
}

export function clipped([left, top, width, height], picture) {
  const l = Math.max(left, 0), t = Math.max(top, 0);
  const r = Math.min(left + width, picture[1]), b = Math.min(top + height, picture[0]);
  return r > l && b > t ? [l, t, r - l, b - t] : null;
}

export function around(keypoints, least) {
  const points = keypoints.filter(([, , value]) => value > least);
  if (points.length < FEWEST) return null;
  const extent = (axis) => [Math.min(...points.map((one) => one[axis])), Math.max(...points.map((one) => one[axis]))];
  const [[left, right], [top, bottom]] = [extent(0), extent(1)];
  const width = Math.max(right - left, 1) * AROUND, height = Math.max(bottom - top, 1) * AROUND;
  return [(left + right) / 2 - width / 2, (top + bottom) / 2 - height / 2, width, height];
}

function overlap(one, other) {
  const width = Math.min(one[0] + one[2], other[0] + other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[1] + one[3], other[1] + other[3]) - Math.max(one[1], other[1]);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (one[2] * one[3] + other[2] * other[3] - width * height);
}

export function withoutDoubles(boxes) {
  const kept = [];
  for (const box of [...boxes].sort((a, b) => b[4] - a[4])) {
    if (!kept.some((surer) => overlap(box, surer) > DOUBLE)) kept.push(box);
  }
  return kept;
}

// Who stays of people { keypoints, score, area }: nobody more similar to a surer one than `most`.
export function surest(people, sigmas, most) {
  const kept = [];
  for (const one of [...people].sort((a, b) => b.score - a.score)) {
    const alike = (other) => {
      const area = Math.max((one.area + other.area) / 2, Number.EPSILON);
      const each = one.keypoints.map(([x, y], joint) => {
        const [u, v] = other.keypoints[joint];
        return Math.exp(-((x - u) ** 2 + (y - v) ** 2) / ((2 * sigmas[joint]) ** 2 * 2 * area));
      });
      return each.reduce((a, b) => a + b, 0) / each.length;
    };
    if (!kept.some((other) => alike(other) > most)) kept.push(one);
  }
  return kept;
}
