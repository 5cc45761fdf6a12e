import './environment.ts'

// Only then what uses the libraries: a bundler orders shared chunks as it likes, but not across this line.
await import('./app.tsx')
