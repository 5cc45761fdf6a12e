import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  // One bundle of about 245 kB gzipped; it is split by route when there are more pages.
  build: { outDir: 'dist', emptyOutDir: true, sourcemap: false, chunkSizeWarningLimit: 900 },
  server: { proxy: { '/v1': process.env.LIMBECK_API ?? 'http://127.0.0.1:8080' } },
})
