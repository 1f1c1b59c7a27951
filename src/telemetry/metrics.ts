/**
 * Metrics of this process: counters, gauges and histograms with labels, and their text as Prometheus reads it (text
 * exposition format 0.0.4). Names and units follow Prometheus' conventions: `nodekiln_…_total`, `…_seconds`.
 *
 * Values live as long as the process. Labels must have few values (a controller's name, an outcome): every combination
 * that was ever seen stays.
 */
import { NodekilnError } from '../errors.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount?: number, labels?: Labels): void;
}

export interface Gauge {
  set(value: number, labels?: Labels): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

interface About {
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
}

export interface Metrics {
  counter(about: About): Counter;
  gauge(about: About): Gauge;
  /** `buckets` are upper bounds, ascending; the last one, `+Inf`, is always there. */
  histogram(about: About & { readonly buckets: readonly number[] }): Histogram;
  /** All of them, in the order they were made. */
  exposition(): string;
}

/** What one combination of labels has come to. */
interface Sample {
  readonly labels: Labels;
  value: number;
  /** Histograms only: how many values each bucket holds, without those of the buckets below. */
  readonly counts: number[];
  count: number;
}

interface Family extends About {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly buckets: readonly number[];
  readonly samples: Map<string, Sample>;
}

export function createMetrics(): Metrics {
  const families = new Map<string, Family>();

  const family = (about: About, type: Family['type'], buckets: readonly number[] = []): Family => {
    if (!/^[a-z][a-z0-9_]*$/.test(about.name) || families.has(about.name))
      throw new NodekilnError('NK_INTERNAL', `a metric cannot be called ${about.name}, or is one already`);
    const made: Family = { ...about, type, buckets, samples: new Map() };
    families.set(about.name, made);
    return made;
  };

  return {
    counter(about) {
      const own = family(about, 'counter');
      return { add: (amount = 1, labels = {}) => void (sampleOf(own, labels).value += amount) };
    },
    gauge(about) {
      const own = family(about, 'gauge');
      return { set: (value, labels = {}) => void (sampleOf(own, labels).value = value) };
    },
    histogram({ buckets, ...about }) {
      const own = family(about, 'histogram', buckets);
      return {
        observe(value, labels = {}) {
          const sample = sampleOf(own, labels);
          const bucket = buckets.findIndex((bound) => value <= bound);
          if (bucket >= 0) sample.counts[bucket] = (sample.counts[bucket] ?? 0) + 1;
          sample.value += value;
          sample.count += 1;
        },
      };
    },
    exposition: () => [...families.values()].map(familyText).join(''),
  };
}

function sampleOf({ samples, buckets }: Family, labels: Labels): Sample {
  const key = labelText(labels);
  const known = samples.get(key);
  if (known) return known;
  const made: Sample = { labels, value: 0, counts: buckets.map(() => 0), count: 0 };
  samples.set(key, made);
  return made;
}

function familyText(family: Family): string {
  const { name, help, type, samples } = family;
  const heading = `# HELP ${name} ${escaped(help, /[\\\n]/g)}\n# TYPE ${name} ${type}\n`;
  return heading + [...samples.values()].flatMap((sample) => sampleLines(family, sample)).join('');
}

function sampleLines({ name, type, buckets }: Family, sample: Sample): string[] {
  const { labels, value, counts, count } = sample;
  if (type !== 'histogram') return [`${name}${labelText(labels)} ${value}\n`];
  let sum = 0;
  const lines = buckets.map((bound, index) => {
    sum += counts[index] ?? 0;
    return `${name}_bucket${labelText({ ...labels, le: String(bound) })} ${sum}\n`;
  });
  return [
    ...lines,
    `${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}\n`,
    `${name}_sum${labelText(labels)} ${value}\n`,
    `${name}_count${labelText(labels)} ${count}\n`,
  ];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value, /["\\\n]/g)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(text: string, special: RegExp): string {
  return text.replaceAll(special, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
