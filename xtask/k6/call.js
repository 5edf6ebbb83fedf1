// The `tools/call` in call.json (1.1 kB, of the stateless era of MCP), and the check of its answer.
//
// Shared by all scripts. What the answers were is told by three counters; nothing here
// decides how often or when a call is made.

import http from 'k6/http';
import { Counter } from 'k6/metrics';

// A request that got no answer, one with another status than 200, and one whose body is
// not the JSON-RPC result of this very request.
const wrongConnection = new Counter('wrong_connection');
const wrongStatus = new Counter('wrong_status');
const wrongBody = new Counter('wrong_body');

// The same message that the light driver sends, cut where the id goes.
const MESSAGE = JSON.parse(open('./call.json'));
const { id: _, jsonrpc, ...REST } = MESSAGE;
const BEFORE_ID = `{"jsonrpc":"${jsonrpc}","id":`;
const AFTER_ID = `,${JSON.stringify(REST).slice(1)}`;

// What goes along with every request of one kind; `tags` tell the kinds apart in the summary.
export function parameters(tags) {
  return {
    tags,
    timeout: '10s',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      'MCP-Protocol-Version': MESSAGE.params._meta['io.modelcontextprotocol/protocolVersion'],
      'Mcp-Method': MESSAGE.method,
      'Mcp-Name': MESSAGE.params.name,
    },
  };
}

// Each VU tells its first wrong answer, which is enough to see what is the matter.
let told = false;

function wrong(counter, what) {
  counter.add(1);
  if (!told) {
    told = true;
    console.error(`wrong answer: ${what}`);
  }
}

// Sends the request `id` to `url` and checks the answer.
export function call(url, id, params) {
  const response = http.post(url, BEFORE_ID + id + AFTER_ID, params);
  if (response.status === 0) {
    wrong(wrongConnection, response.error);
  } else if (response.status !== 200) {
    wrong(wrongStatus, `status ${response.status}: ${String(response.body).slice(0, 300)}`);
  } else if (!isResult(response.body, id)) {
    wrong(wrongBody, `not the result of request ${id}: ${String(response.body).slice(0, 300)}`);
  }
}

function isResult(body, id) {
  try {
    const answer = JSON.parse(body);
    return answer.id === id && answer.result !== undefined && answer.result.isError !== true;
  } catch (error) {
    return false;
  }
}

// The options of a script, with those that all share.
//
// k6 reports no single times, but any percentiles: computed after the load, by linear interpolation.
// As many percentiles as there are times (`plan.times`) are the times themselves.
export function options(plan, own) {
  const last = Math.max(1, plan.times - 1);
  const times = Array.from({ length: plan.times || 0 }, (_, rank) => `p(${(100 * rank) / last})`);
  const shared = {
    // A tag costs the generator time on every sample; only those of `parameters` are kept.
    systemTags: [],
    summaryTrendStats: ['count', 'min', 'avg', 'med', 'max', ...times],
    userAgent: 'k6',
  };
  return Object.assign(shared, own);
}

// What is reported of the times that `plan.whole` does not name.
function brief({ count, min, avg, med, max }) {
  return { count, min, avg, med, max };
}

// The one file that is read afterwards, whatever the formats of k6 itself become.
export function summary(plan, data) {
  const whole = plan.whole || [];
  const metrics = data.metrics;
  const count = (name) => (metrics[name] === undefined ? 0 : metrics[name].values.count);
  const result = {
    format: 1,
    started_ms: data.setup_data.started_ms,
    requests: count('http_reqs'),
    dropped: count('dropped_iterations'),
    wrong: {
      connection: count('wrong_connection'),
      status: count('wrong_status'),
      body: count('wrong_body'),
    },
    counts: {},
    trends_ms: {},
  };
  for (const [name, metric] of Object.entries(metrics)) {
    if (name.startsWith('http_reqs{')) {
      result.counts[name] = metric.values.count;
    } else if (/^http_req_(duration|waiting)(\{|$)/.test(name) && metric.values.count > 0) {
      const { values } = metric;
      result.trends_ms[name] = whole.includes(name) ? values : brief(values);
    }
  }
  return { [plan.summary]: JSON.stringify(result, null, 1) };
}
