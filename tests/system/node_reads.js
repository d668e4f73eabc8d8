// Clients that read until standard input ends, named and unnamed.
// Usage: node node_reads.js HOST PORT CLIENTS
// Prints a line once all have read, and one JSON document at the end.
'use strict';
const { Client } = require('pg');
const [host, port, count] = process.argv.slice(2);
const errors = [];
const reads = Array(Number(count)).fill(0);
let isOver = false;

process.stdin.on('end', () => { isOver = true; }).resume();

async function run(index) {
	const client = new Client({
		host, port: Number(port), user: 'app', database: 'app' });
	client.on('error', (error) => errors.push(String(error)));
	try {
		await client.connect();
		for (let n = 0; !isOver; n++) {
			const text = `SELECT v AS n${Math.floor(n / 4) % 500}`
				+ ' FROM counters WHERE k = $1';
			const query = { text, values: [n % 16] };

			if (n % 2)
				query.name = text;
			const found = await client.query(query);
			if (found.rows.length !== 1)
				throw new Error('rows: ' + found.rows.length);
			reads[index]++;
			if (errors.length === 0 && reads.every((r) => r === 1))
				console.log('all');
			await new Promise((done) => setTimeout(done, 50));
		}
		await client.end();
	} catch (error) {
		errors.push(String(error));
		console.log('error');
	}
}

Promise.all(reads.map((_, index) => run(index))).then(() => {
	console.log(JSON.stringify({ errors, reads }));
	process.exit(0);
});
