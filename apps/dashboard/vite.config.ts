import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    sourcemap: false,
    // Split by route; the largest chunk is React with Mantine, about 100 kB gzipped.
    chunkSizeWarningLimit: 500,
    // The first browsers with light-dark(): for older ones it is rewritten into variables that nothing sets.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
  },
  server: { proxy: { '/v1': process.env.LIMBECK_API ?? 'http://127.0.0.1:8080' } },
})
