// Calls as fast as they are answered, by a fixed number of VUs. Those begun in the warm-up
// are told apart from those begun in the measured window after it.
//
// PLAN: {summary, url, vus, warm_ms, window_ms}.

import { call, options as withShared, parameters, summary } from './call.js';

const plan = JSON.parse(__ENV.PLAN);
const warm = parameters({ phase: 'warm' });
const measured = parameters({ phase: 'measured' });

export const options = withShared(plan, {
  thresholds: {
    // Always hold: they are what makes k6 keep a metric by tag.
    'http_reqs{phase:measured}': ['count>=0'],
    'http_req_duration{phase:measured}': ['max>=0'],
  },
  scenarios: {
    calls: {
      executor: 'constant-vus',
      vus: plan.vus,
      duration: `${plan.warm_ms + plan.window_ms}ms`,
      gracefulStop: '10s',
    },
  },
});

export function setup() {
  return { started_ms: Date.now() };
}

export default function (started) {
  const id = __VU * 10000000 + __ITER;
  call(plan.url, id, Date.now() - started.started_ms < plan.warm_ms ? warm : measured);
}

export function handleSummary(data) {
  return summary(plan, data);
}
