import { defineConfig } from 'vite'

export default defineConfig({ build: { target: 'es2022', cssTarget: 'chrome123', chunkSizeWarningLimit: 1000, modulePreload: { polyfill: false } } })
