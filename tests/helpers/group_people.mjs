// node group_people.mjs MODULE < cases.json: the people of each case, or the columns of each cost, as JSON.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { assign, groupPeople } = await import(pathToFileURL(process.argv[2]));
const tensor = (made) => {
  const bytes = Uint8Array.from(Buffer.from(made.base64, "base64"));
  return { data: new Float32Array(bytes.buffer), dims: made.dims };
};
const answers = JSON.parse(readFileSync(0)).map(({ cost, peaks, heatmaps, tags, ...more }) => {
  if (cost) return assign(cost);
  const maps = { heatmaps: heatmaps && tensor(heatmaps), tags: tags && tensor(tags) };
  return groupPeople(tensor(peaks), { ...maps, ...more });
});
process.stdout.write(JSON.stringify(answers));
