// Calls at a constant arrival rate, in slices that go to one of two places in turn: `D` to
// the upstream itself, `P` through the proxy. First a warm-up of both that is not counted.
//
// A slice is a range of iteration numbers, so that every slice has exactly as many calls as
// the next whatever the clock does. PLAN: {summary, direct, proxied, rate, warm_calls,
// slice_calls, arms: "DPPD", times: 1200, whole: ["http_req_duration{arm:P}", …]}: the distributions
// of which all times are reported, and how many times those have.

import exec from 'k6/execution';
import { call, options as withShared, parameters, summary } from './call.js';

const plan = JSON.parse(__ENV.PLAN);
const urls = { D: plan.direct, P: plan.proxied };
const warm = parameters({ arm: 'warm' });
const slices = Array.from(plan.arms, (arm, slice) => parameters({ arm, slice: String(slice) }));
const calls = plan.warm_calls + plan.slice_calls * slices.length;

// A threshold that always holds: it is what makes k6 keep a metric by tag.
const thresholds = {};
for (const metric of ['http_req_duration', 'http_req_waiting']) {
  for (const arm of Object.keys(urls)) {
    thresholds[`${metric}{arm:${arm}}`] = ['max>=0'];
  }
}
slices.forEach((_, slice) => {
  thresholds[`http_req_duration{slice:${slice}}`] = ['max>=0'];
});
for (const arm of Object.keys(urls)) {
  thresholds[`http_reqs{arm:${arm}}`] = ['count>=0'];
}

export const options = withShared(plan, {
  thresholds,
  scenarios: {
    calls: {
      executor: 'constant-arrival-rate',
      rate: plan.rate,
      timeUnit: '1s',
      duration: `${Math.ceil((calls * 1000) / plan.rate)}ms`,
      // Enough for a stall of a tenth of a second; a longer one drops calls and is seen.
      preAllocatedVUs: Math.ceil(plan.rate / 10),
      gracefulStop: '10s',
    },
  },
});

export function setup() {
  return { started_ms: Date.now() };
}

export default function () {
  const number = exec.scenario.iterationInTest;
  if (number >= calls) {
    return; // The last moment of the duration may begin one call too many.
  }
  if (number < plan.warm_calls) {
    call(number % 2 === 0 ? urls.D : urls.P, number, warm);
    return;
  }
  const slice = Math.floor((number - plan.warm_calls) / plan.slice_calls);
  call(urls[plan.arms[slice]], number, slices[slice]);
}

export function handleSummary(data) {
  return summary(plan, data);
}
