// The rule by which a search chooses: the same as in search/finalists.py, search/measured.py and search/comparison.py.
// A browser test holds the two against each other.

// The limits of one run of a network that an image's limits come to; null where nothing is left for a person.
function limitsOfRun(limits, workload, oncePerPerson) {
  if (!oncePerPerson) return limits;
  const own = [];
  for (const limit of limits) {
    let most = limit.most;
    if (limit.time) {
      most = (most - workload.ms) / (workload.num / workload.den);
      if (most <= 0) return null;
    } else if (limit.run) {
      const left = (BigInt(most) - BigInt(workload.macs)) * BigInt(workload.den);
      if (left < BigInt(workload.num)) return null;
      most = Number(left / BigInt(workload.num));
    }
    own.push({ ...limit, most });
  }
  return own;
}

// A field of the cost of an image, from that of one run.
function costOfImage(data, network, field, workload) {
  const value = network.cost[field], kind = data.fields[field];
  if (!data.families[network.family].oncePerPerson) return value;
  if (kind.time) return (workload.num / workload.den) * value + workload.ms;
  if (!kind.run) return value;
  const times = BigInt(value) * BigInt(workload.num), den = BigInt(workload.den);
  return Number((times + den - 1n) / den) + workload.macs;
}

function compareLists(one, other) {
  for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return one[at] - other[at];
  return 0;
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// The standard deviation of an evaluation, from what was scored more than once.
function spread(groups) {
  const several = groups.filter((scores) => scores.length > 1 && scores.every(Number.isFinite));
  if (!several.length) return null;
  let squares = 0, free = 0;
  for (const scores of several) {
    const middle = mean(scores);
    squares += scores.reduce((sum, one) => sum + (one - middle) ** 2, 0);
    free += scores.length - 1;
  }
  return Math.sqrt(squares / free);
}

const excess = (limits, measured) => limits.reduce((sum, limit) => sum
  + (limit.field in measured ? Math.max(measured[limit.field] / limit.most - 1, 0) : 0), 0);

// Who may be chosen of networks within the budget, by the times that were measured.
function eligible(within, limits) {
  const asked = limits.filter((limit) => within.some((one) => limit.field in one.measured));
  const holding = [], slow = [], unknown = [];
  for (const one of within) {
    const whole = asked.length && asked.every((limit) => limit.field in one.measured);
    (excess(limits, one.measured) > 0 ? slow : whole ? holding : unknown).push(one);
  }
  if (holding.length) return holding;
  if (unknown.length) return unknown;
  return slow.sort((a, b) => excess(asked, a.measured) - excess(asked, b.measured)).slice(0, 1);
}

const keeps = (network, limits) => limits.every((limit) => network.cost[limit.field] <= limit.most);

// A family's choice within the limits of a run; null where nothing fits.
function select(data, family, limits) {
  const best = data.networks.filter((one) => one.family === family && Number.isFinite(one.score) && keeps(one, limits))
    .sort((a, b) => b.score - a.score || compareLists(a.cost, b.cost));
  const noise = spread(best.map((one) => one.again).filter((scores) => scores.length));
  const allowed = eligible(best, limits);
  let finals = allowed.filter((one) => one.again.length).map((one) => ({ one, scores: one.again, mean: mean(one.again) }));
  if (!finals.length) finals = allowed.slice(0, 1).map((one) => ({ one, scores: [], mean: one.score }));
  if (!finals.length) return null;
  const top = finals.reduce((a, b) => (b.mean > a.mean ? b : a));
  const share = (final) => 1 / Math.max(final.scores.length, 1);
  const tied = [top, ...finals.filter((final) => top.mean - final.mean <= (noise ? noise * Math.sqrt(share(final) + share(top)) : 0))];
  const low = (final) => [...data.low.map((field) => final.one.cost[field]), -final.mean];
  return tied.reduce((a, b) => (compareLists(low(b), low(a)) < 0 ? b : a)).one;
}

// The network that a search would choose within these limits of an image, of one family or of several.
function choose(data, limits, workload) {
  const came = [];
  const own = data.families.map((family) => limitsOfRun(limits, workload, family.oncePerPerson));
  if (own.includes(null)) return null; // the command refuses such a budget, too
  data.families.forEach((family, number) => {
    const one = select(data, number, own[number]);
    if (!one) return;
    const noise = spread(data.networks.filter((other) => other.family === number).map((other) => other.againAp));
    const ap = one.againAp.length ? mean(one.againAp) : one.ap;
    came.push({ one, ap, error: (noise || 0) / Math.sqrt(Math.max(one.againAp.length, 1)) });
  });
  if (data.families.length === 1) return came.length ? came[0].one : null;
  came.sort((a, b) => b.ap - a.ap);
  const tied = came.filter((other) => came[0].ap - other.ap <= Math.hypot(came[0].error, other.error));
  const low = (each) => [...data.low.map((field) => costOfImage(data, each.one, field, workload)), -each.ap];
  return tied.length ? tied.reduce((a, b) => (compareLists(low(b), low(a)) < 0 ? b : a)).one : null;
}

// What nothing beats in score and in every cost that is kept low, the cheapest first.
function frontOf(data, limits, workload) {
  const priced = data.networks.filter((one) => Number.isFinite(scoreOf(data, one))).map((one) => ({
    one, score: scoreOf(data, one), cost: one.cost.map((_, field) => costOfImage(data, one, field, workload)) }));
  const inside = priced.filter((each) => limits.every((limit) => each.cost[limit.field] <= limit.most));
  const low = (each) => data.low.map((field) => each.cost[field]);
  inside.sort((a, b) => compareLists([...low(a), -a.score], [...low(b), -b.score]));
  const kept = [];
  for (const each of inside) {
    const beaten = kept.some((other) => other.score >= each.score && low(other).every((value, at) => value <= low(each)[at]));
    if (!beaten) kept.push(each);
  }
  return kept.map((each) => each.one);
}

// Families are compared by AP alone; a family alone by its own rank.
const scoreOf = (data, network) => (data.families.length > 1 ? network.ap : network.score);
