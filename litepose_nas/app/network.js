// The shipped networks: who is in an image. `ort` is onnxruntime-web.

import { groupPeople } from "./group_people.js";
import { around, clipped, cutOut, inPicture, shown, surest, whole, withoutDoubles } from "./look.js";

const LEAST_VALUE = 0.2; // joints below it do not count in the score of a person who is looked at alone
const SAME_PERSON = 0.9; // similarity above which two people are one

class Network {
  constructor(ort, session, info) {
    Object.assign(this, { ort, session, info, input: info.input });
  }

  async answer(image, warps) {
    const [rows, columns] = this.input, size = rows * columns * 3;
    const bytes = new Uint8Array(size * warps.length);
    warps.forEach((warp, at) => bytes.set(shown(image, warp, this.input, this.info.border), at * size));
    const tensor = new this.ort.Tensor("uint8", bytes, [warps.length, rows, columns, 3]);
    return this.session.run({ [this.session.inputNames[0]]: tensor });
  }

  async everybody(image) {
    const warp = whole([image.height, image.width], this.input);
    const { peaks, heatmaps, tags } = await this.answer(image, [warp]);
    return groupPeople(peaks, { heatmaps, tags, input: this.input })
      .map(({ keypoints, score }) => ({ keypoints: inPicture(keypoints, warp), score }));
  }

  async each(image, views) {
    const { joints } = await this.answer(image, views.map((view) => view.warp));
    const [, count] = joints.dims;
    return views.map(({ warp, share }, at) => {
      const keypoints = Array.from({ length: count }, (_, joint) => Array.from(joints.data.subarray(3 * (at * count + joint), 3 * (at * count + joint) + 3)));
      const sure = keypoints.map((one) => one[2]).filter((value) => value > LEAST_VALUE);
      const score = sure.length ? sure.reduce((a, b) => a + b, 0) / sure.length : 0;
      const area = (this.input[0] * this.input[1]) / Math.abs(warp[0] * warp[4] - warp[1] * warp[3]);
      return { keypoints: inPicture(keypoints, warp), score: score * share, area };
    });
  }
}

export class Finder {
  // `read` gives the bytes of a file of the folder.
  static async open(ort, info, read) {
    const open = async (one) => one && new Network(ort, await ort.InferenceSession.create(await read(one.file), { executionProviders: ["wasm"] }), one);
    const finder = new Finder();
    Object.assign(finder, { info, network: await open(info.model), detector: await open(info.detector) });
    return finder;
  }

  // The people of an ImageData, the surest first: [{ keypoints: [[x, y, value], ...], score }].
  async people(image, least) {
    const found = this.info.model.kind === "topdown" ? await this.alone(image) : await this.network.everybody(image);
    return found.filter((one) => one.score >= least).sort((a, b) => b.score - a.score).map(({ keypoints, score }) => ({ keypoints, score }));
  }

  async alone(image) {
    const size = [image.height, image.width];
    let views = [{ warp: whole(size, this.network.input), share: 1 }];
    if (this.detector) {
      const boxes = (await this.detector.everybody(image)).filter((one) => one.score >= 0.1)
        .flatMap(({ keypoints, score }) => { const box = around(keypoints, 0); return box ? [[...box, score]] : []; });
      views = withoutDoubles(boxes).flatMap((box) => {
        const part = clipped(box, size);
        return part ? [{ warp: cutOut(part, this.network.input), share: box[4] }] : [];
      });
    }
    return views.length ? surest(await this.network.each(image, views), this.info.model.sigmas, SAME_PERSON) : [];
  }
}
