/** A verification as JUnit XML (the dialect CI systems read: testsuites, testsuite, testcase, failure, skipped). Pure. */
import { visible } from '../../model/printable.ts';
import { areas, type Check } from './check.ts';
import type { VerifyReport } from './verify.ts';

export function junitXml(report: VerifyReport): string {
  const { name, os, release, architecture } = report.image;
  const suites = areas.flatMap((area) => {
    const checks = report.checks.filter((check) => check.area === area);
    if (checks.length === 0) return [];
    const of = (status: Check['status']): number => checks.filter((check) => check.status === status).length;
    return [
      `  <testsuite name="${area}" tests="${checks.length}" failures="${of('failed')}" errors="0" skipped="${of('skipped')}">`,
      ...checks.map(testCase),
      '  </testsuite>',
    ];
  });
  const { summary } = report;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${text(`nodekiln verify ${name} ${os}/${release} ${architecture}`)}" tests="${report.checks.length}" failures="${summary.failed}" errors="0" skipped="${summary.skipped}">`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}

function testCase({ area, subject, property, status, detail = '' }: Check): string {
  const head = `    <testcase classname="${area}" name="${text(`${subject} ${property}`)}"`;
  if (status === 'passed') return `${head}/>`;
  const element = status === 'failed' ? 'failure' : 'skipped';
  return `${head}><${element} message="${text(detail)}"/></testcase>`;
}

/** Escaped for attributes, in which a line ends by its number alone; what XML 1.0 does not know is an escape already. */
function text(value: string): string {
  return visible(value)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\t', '&#9;')
    .replaceAll('\n', '&#10;');
}
