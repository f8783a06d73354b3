// The people of one picture from the peaks that an exported bottom-up network answers with. For browsers and Node.
//
//     const { peaks } = await session.run({ image });
//     const people = groupPeople(peaks);
//
// With the maps, too (`export --decode --maps`), a joint that a person lacks is looked for where tags suit that person:
//
//     const { peaks, heatmaps, tags } = await session.run({ image });
//     const people = groupPeople(peaks, { heatmaps, tags, input: [height, width] });

const COCO_ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]; // head and trunk before limbs
const OUT_OF_QUESTION = 1e10; // the price of leaving a peak to nobody, above that of anybody

/**
 * Return [{ keypoints, score }]; keypoints is [[x, y, value], ...], zeros where a joint was not found.
 *
 * A tensor is { data, dims } as ONNX Runtime has it. peaks is [N, J, K, 3 + D]: x, y, value and a tag of D numbers.
 * heatmaps [N, J, H, W] and tags [N, J, H, W] or [N, J, H, W, D] are optional, and need the input's [height, width].
 * Values up to `threshold` are no peaks; tags that are `tagThreshold` apart are not of one person; after `most` people
 * nobody else gains a joint. `picture` is which of N.
 */
export function groupPeople(
  peaks,
  { heatmaps, tags, input, threshold = 0.1, tagThreshold = 1, most = 30, picture = 0 } = {},
) {
  if (heatmaps && !(tags && input)) throw new Error("heatmaps come with tags and the [height, width] of the input");
  const [joints, count, width] = peaks.dims.slice(-3);
  const size = joints * count * width;
  if (!peaks.data.subarray(picture * size, (picture + 1) * size).every(Number.isFinite)) {
    throw new Error("the peaks hold NaN or infinity: the network's outputs are no numbers in this runtime");
  }
  const people = []; // the joints and the sum of the tags of each
  const coco = joints === 14 || joints === 17;
  for (const joint of coco ? COCO_ORDER.filter((j) => j < joints) : Array(joints).keys()) {
    const own = [];
    for (let k = 0; k < count; k++) {
      const at = ((picture * joints + joint) * count + k) * width;
      const [x, y, value, ...tag] = peaks.data.subarray(at, at + width);
      if (value > threshold) own.push({ found: [x, y, value], tag });
    }
    const joined = join(own, people.slice(0, most).map(meanTag), tagThreshold);
    own.forEach(({ found, tag }, row) => {
      if (joined[row] < 0) joined[row] = people.push({ joints: [], sum: tag.map(() => 0), tags: 0 }) - 1;
      const person = people[joined[row]];
      person.joints[joint] = found;
      person.sum = person.sum.map((sum, d) => sum + tag[d]);
      person.tags += 1;
    });
  }
  return people.map((person) => {
    const keypoints = Array.from({ length: joints }, (_, joint) => person.joints[joint] ?? [0, 0, 0]);
    const score = Math.fround(keypoints.reduce((sum, joint) => sum + joint[2], 0) / joints);
    if (heatmaps) findMissing(keypoints, meanTag(person).map(Math.fround), heatmaps, tags, input, picture);
    return { keypoints, score };
  });
}

const meanTag = ({ sum, tags }) => sum.map((each) => each / tags);

/** Return the person whom each peak of one joint joins, all different, -1 where it fits nobody. */
function join(peaks, means, tagThreshold) {
  if (!peaks.length || !means.length) return peaks.map(() => -1);
  const distance = peaks.map(({ tag }) => means.map((mean) => Math.sqrt(sumOfSquares(tag, mean))));
  // A peak may be left to nobody where there are more peaks than people.
  const nobody = Array(Math.max(peaks.length - means.length, 0)).fill(OUT_OF_QUESTION);
  const cost = peaks.map(({ found }, i) => [...distance[i].map((far) => round(far) * 100 - found[2]), ...nobody]);
  return assign(cost).map((who, i) => (who < means.length && distance[i][who] < tagThreshold ? who : -1));
}

const sumOfSquares = (one, other) => one.reduce((sum, each, d) => sum + (each - other[d]) * (each - other[d]), 0);

/** Round halves to even, as the network was judged by. */
function round(x) {
  const low = Math.floor(x);
  return x - low === 0.5 ? low + (low % 2) : Math.round(x);
}

/** Give each joint that a person lacks the pixel that suits the person's mean tag best, if it is warm at all. */
function findMissing(keypoints, mean, heatmaps, tags, input, picture) {
  const [joints, height, width] = heatmaps.dims.slice(1);
  const size = height * width;
  const scale = [Math.fround(input[1] / width), Math.fround(input[0] / height)];
  keypoints.forEach((keypoint, joint) => {
    if (keypoint[2] !== 0) return;
    const start = (picture * joints + joint) * size;
    const heat = heatmaps.data.subarray(start, start + size);
    const tag = tags.data.subarray(start * mean.length, (start + size) * mean.length);
    const best = bestPixel(heat, tag, mean);
    if (!(heat[best] > 0)) return;
    const [x, y] = [best % width, Math.floor(best / width)];
    const right = heat[y * width + Math.min(x + 1, width - 1)] > heat[y * width + Math.max(x - 1, 0)];
    const below = heat[Math.min(y + 1, height - 1) * width + x] > heat[Math.max(y - 1, 0) * width + x];
    const place = [x + (right ? 0.75 : 0.25), y + (below ? 0.75 : 0.25)];
    keypoints[joint] = [...place.map((each, axis) => Math.fround(each * scale[axis])), heat[best]];
  });
}

/** Return the first pixel with the largest value less its rounded distance of tags, in single precision. */
function bestPixel(heat, tag, mean) {
  const dims = mean.length;
  let [best, most] = [0, -Infinity];
  for (let pixel = 0; pixel < heat.length; pixel++) {
    if (heat[pixel] <= most) continue; // a distance can only make it less
    let square = 0;
    for (let d = 0; d < dims; d++) {
      const difference = Math.fround(tag[pixel * dims + d] - mean[d]);
      square = Math.fround(square + Math.fround(difference * difference));
    }
    const value = Math.fround(heat[pixel] - round(Math.fround(Math.sqrt(square))));
    if (value > most) [best, most] = [pixel, value];
  }
  return best;
}

/**
 * Return each row's column, all different, whose costs are the least together; no more rows than columns.
 *
 * Rows come in one after the other, each along the cheapest path of columns that change hands (Crouse, IEEE
 * Transactions on Aerospace and Electronic Systems, 2016). Of equal columns a free one is taken, the last looked at,
 * as other implementations do: equal costs are frequent here, and must not end in different people.
 */
export function assign(cost) {
  const [rows, columns] = [cost.length, cost[0].length];
  const [rowPrice, columnPrice] = [Array(rows).fill(0), Array(columns).fill(0)];
  const [owner, owned] = [Array(columns).fill(-1), Array(rows).fill(-1)];
  for (let start = 0; start < rows; start++) {
    const left = Array.from({ length: columns }, (_, i) => columns - 1 - i); // columns not looked at yet
    const [length, before] = [Array(columns).fill(Infinity), Array(columns).fill(-1)]; // of the path to a column
    const [seenRows, seenColumns] = [[], []];
    let [row, column, least] = [start, -1, 0];
    while (row >= 0) {
      seenRows.push(row);
      let place = -1;
      for (let i = 0; i < left.length; i++) {
        const through = least + cost[row][left[i]] - rowPrice[row] - columnPrice[left[i]];
        if (through < length[left[i]]) [before[left[i]], length[left[i]]] = [row, through];
      }
      for (let i = 0; i < left.length; i++) {
        const [one, other] = [length[left[i]], place < 0 ? Infinity : length[left[place]]];
        if (one < other || (one === other && owner[left[i]] < 0)) place = i;
      }
      column = left[place];
      least = length[column];
      seenColumns.push(column);
      left[place] = left[left.length - 1];
      left.pop();
      row = owner[column];
    }
    rowPrice[start] += least;
    for (const seen of seenRows.slice(1)) rowPrice[seen] += least - length[owned[seen]];
    for (const seen of seenColumns) columnPrice[seen] -= least - length[seen];
    do { // the columns along the path change hands
      row = before[column];
      owner[column] = row;
      [owned[row], column] = [column, owned[row]];
    } while (row !== start);
  }
  return owned;
}
